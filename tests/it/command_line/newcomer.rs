//! The first hour of whoever has just installed it, as the README tells it: its commands are given to a real broker, and
//! answered as it says.

use crate::support::broker::{Broker, On, Setup};
use std::{fs, process::Command};

/// A line of the README that stands for any number of lines.
const AND_SO_ON: &str = "…";
/// Where the README's service listens.
const LISTEN: &str = "127.0.0.1:8460";

/// Commands of the chapter, each with what it is said to answer.
fn told() -> Vec<(String, Vec<String>)> {
    let readme = include_str!("../../../README.md");
    let chapter = readme.split("### 装好以后的第一个小时").nth(1).expect("the chapter");
    let chapter = chapter.split("\n### ").next().expect("its end");
    let mut told: Vec<(String, Vec<String>)> = Vec::new();
    for (n, part) in chapter.split("```").enumerate() {
        for line in part.lines().filter(|line| n % 2 == 1 && !line.trim().is_empty()) {
            match (line.strip_prefix("# "), told.last_mut()) {
                (Some(command), _) => told.push((command.to_owned(), Vec::new())),
                (None, Some((_, answer))) => answer.push(line.to_owned()),
                (None, None) => panic!("an answer to nothing: {line}"),
            }
        }
    }
    told
}

/// The line without what is another one each time: identifiers, free space, and the blanks that line up columns.
fn plainly(line: &str) -> String {
    let words: Vec<_> = line.split_whitespace().collect();
    let word = |(n, word): (usize, &&str)| match *word {
        id if uuid::Uuid::parse_str(id).is_ok() => "ID".to_owned(),
        // Of a disk, after 还有.
        _ if n > 0 && words[n - 1] == "镜像目录所在的磁盘还有" => "N".to_owned(),
        other => other.to_owned(),
    };
    words.iter().enumerate().map(word).collect::<Vec<_>>().join(" ")
}

/// Whether the answer is the one that was told, whose `…` are anything.
fn fits(told: &[String], answer: &[String]) -> bool {
    match told.split_first() {
        None => answer.is_empty(),
        Some((line, rest)) if line == AND_SO_ON => (0..=answer.len()).any(|n| fits(rest, &answer[n..])),
        Some((line, rest)) => answer.split_first().is_some_and(|(first, more)| first == line && fits(rest, more)),
    }
}

#[test]
fn an_answer_that_is_not_the_one_told_is_noticed() {
    let lines = |text: &str| text.lines().map(plainly).collect::<Vec<_>>();
    let told = lines("✓  磁盘  镜像目录所在的磁盘还有 37.0 GiB\n…\n编号  01a1ffb9-c8e0-7366-ac2f-36a192e387db");
    assert!(fits(
        &told,
        &lines("✓ 磁盘 镜像目录所在的磁盘还有 1.5 GiB\na\nb\n编号 01a22a1d-eec7-738c-80f2-e0c959f69bea")
    ));
    assert!(!fits(&told, &lines("✗ 磁盘 镜像目录所在的磁盘还有 1.5 GiB\n编号 01a22a1d-eec7-738c-80f2-e0c959f69bea")));
    assert!(!fits(&told, &lines("✓ 磁盘 镜像目录所在的磁盘还有 1.5 GiB\n编号 ID\nmore")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_hour_is_as_the_readme_tells_it() {
    let setup = Setup::new(On::Sqlite);
    let (config, samples) = (setup.folder.join("jiyue.toml"), setup.folder.join("samples"));
    let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    std::os::unix::fs::symlink(repository.join("samples"), samples).unwrap();
    let request = fs::read_to_string(repository.join("samples/request.yaml")).unwrap();
    let good = request.lines().find(|line| line.starts_with("内存容量:")).expect("the memory");
    let free = format!("127.0.0.1:{}", crate::support::free_port());
    let (mut broker, mut token): (Option<Broker>, _) = (None, String::new());
    let (mut doctors, mut submissions) = (0, 0);
    let told = told();
    assert!(told.len() >= 8, "{told:?}");
    for (command, answer) in &told {
        if let Some(whose) = command.strip_prefix("export JIYUE_TOKEN=") {
            // From here on the service runs, and somebody else calls.
            if broker.is_none() {
                broker = Some(Broker::start(setup.clone()).await);
            }
            token = match whose {
                "审批人的令牌" => {
                    setup.token(&["--person", "wang", "--name", "王审", "--unit", "区信息办", "--role", "authority"])
                }
                "申请人的令牌" => {
                    setup.token(&["--person", "zhang", "--name", "张三", "--role", "requester", "--department", "mzj"])
                }
                other => panic!("nobody: {other}"),
            };
            assert!(answer.is_empty(), "{command}");
            continue;
        }
        // What the reader has done to the files before.
        if command.starts_with("jiyue doctor") {
            fs::write(&config, if doctors == 0 { "worker_widht = 4\n" } else { "worker_width = 4\n" }).unwrap();
            doctors += 1;
        }
        if command.starts_with("jiyue request submit") {
            let memory = if submissions == 0 { "内存容量: 约16G" } else { "内存容量: 128M" };
            fs::write(setup.folder.join("request.yaml"), request.replace(good, memory)).unwrap();
            submissions += 1;
        }
        let config = config.to_string_lossy();
        let args = command.strip_prefix("jiyue ").expect("a command of ours").replace("/etc/jiyue/jiyue.toml", &config);
        let mut program: Command = setup.program();
        program.args(args.split(' ')).current_dir(&setup.folder).env_remove("JIYUE_ALLOW_SIMULATED_HOSTS");
        // Whether the test's machine keeps the time is not the question.
        program.env("JIYUE_LISTEN", &free).env("JIYUE_TOKEN", &token).env("PATH", "/nowhere");
        if let Some(broker) = &broker {
            program.env("JIYUE_SERVER", &broker.url);
        }
        let out = program.output().unwrap();
        let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).replace(&free, LISTEN);
        let said: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).map(plainly).collect();
        let wanted: Vec<_> = answer.iter().map(|line| plainly(line)).collect();
        assert!(fits(&wanted, &said), "# {command}\n{}\n\ninstead of\n{}", said.join("\n"), wanted.join("\n"));
    }
    assert_eq!((doctors, submissions), (2, 2));
}
