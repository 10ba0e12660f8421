//! What the shells complete, what `man` renders.

use super::{err, jiyue, out};
use std::{fs, process::Command};

/// What bash offers after these words.
fn completed(script: &std::path::Path, words: &[&str]) -> Vec<String> {
    let program = r#"source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 ))
        _jiyue jiyue "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"; printf '%s\n' "${COMPREPLY[@]}""#;
    let output = Command::new("bash").args(["--norc", "-c", program, "bash"]).arg(script).args(words).output().unwrap();
    assert!(output.status.success(), "{}", err(&output));
    out(&output).lines().map(Into::into).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    let home = tempfile::tempdir().unwrap();
    let script = jiyue(home.path(), &["completion", "bash"]).output().unwrap();
    assert!(script.status.success());
    let path = home.path().join("jiyue.bash");
    fs::write(&path, &script.stdout).unwrap();
    assert_eq!(completed(&path, &["jiyue", "request", "ap"]), ["approve"]);
    assert_eq!(completed(&path, &["jiyue", "machine", "st"]), ["start", "stop"]);
    assert_eq!(completed(&path, &["jiyue", "request", "approve", "--wa"]), ["--wait"]);
    assert_eq!(completed(&path, &["jiyue", "machine", "list", "-o", "y"]), ["yaml"]);
    assert_eq!(completed(&path, &["jiyue", "context", "us"]), ["use"]);
    let hidden = completed(&path, &["jiyue", "read-"]);
    assert!(hidden.iter().all(|word| word != "read-form"), "{hidden:?}");
}

/// A shell that types what it is given, `\t` for the key that completes, and shows what it would run.
const TYPIST: &str = r#"
    zmodload zsh/zpty
    zpty shell "env -i HOME=$1 TERM=dumb PATH=/usr/bin:/bin zsh -f -i"
    zpty -w shell "PS1=; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -d $1/dump; bindkey '^I' complete-word
        function jiyue { print -r -- \"<\$*>\" }; print rea''dy"
    zpty -r shell said '*ready*'
    zpty -w -n shell "${(g::)2}"$'\n'
    zpty -r shell said '*<*>*'
    print -r -- "${${said##*<}%%>*}"
    zpty -d shell
"#;

#[test]
fn zsh_completes_commands_options_and_values() {
    let home = tempfile::tempdir().unwrap();
    let script = jiyue(home.path(), &["completion", "zsh"]).output().unwrap();
    fs::write(home.path().join("_jiyue"), &script.stdout).unwrap();
    for (typed, run) in [
        (r"jiyue request ap\t--wa\t", "request approve --wait"),
        (r"jiyue machine list -o y\t--sort -le\t", "machine list -o yaml --sort -lease_end"),
        (r"jiyue cont\tus\t", "context use"),
        (r"jiyue read-\t", "read-"),
    ] {
        let output = Command::new("timeout")
            .args(["20", "zsh", "-f", "-c", TYPIST, "zsh"])
            .arg(home.path())
            .arg(typed)
            .output()
            .unwrap();
        assert_eq!(out(&output).trim(), run, "{typed}: {}", err(&output));
    }
}

#[test]
fn fish_completes_commands_options_and_values() {
    let home = tempfile::tempdir().unwrap();
    let script = jiyue(home.path(), &["completion", "fish"]).output().unwrap();
    let path = home.path().join("jiyue.fish");
    fs::write(&path, &script.stdout).unwrap();
    for (typed, offered) in [
        ("jiyue request ap", &["approve"][..]),
        ("jiyue machine st", &["start", "stop"]),
        ("jiyue machine list -o y", &["yaml"]),
        ("jiyue machine list --sort le", &["lease_end"]),
    ] {
        let mut fish = Command::new("fish");
        fish.args(["--no-config", "-c", "source $argv[1]; complete -C $argv[2]"]).arg(&path).arg(typed);
        let output = fish.env("HOME", home.path()).current_dir(home.path()).output().unwrap();
        assert!(output.status.success(), "{}", err(&output));
        let text = out(&output);
        let words: Vec<_> = text.lines().map(|line| line.split('\t').next().unwrap_or_default()).collect();
        assert_eq!(words, offered, "{typed}");
    }
}

#[test]
fn every_shell_gets_a_script_that_knows_every_command() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = jiyue(home.path(), &["completion", shell]).output().unwrap();
        let script = out(&output);
        assert!(output.status.success());
        for word in ["approve", "confirm-fenced", "register-name", "context"] {
            assert!(script.contains(word), "{shell} knows no {word}");
        }
        // The shell itself reads it.
        let path = home.path().join(shell);
        fs::write(&path, script).unwrap();
        let checked = Command::new(shell).arg("-n").arg(&path).output().unwrap();
        assert!(checked.status.success(), "{shell}: {}", err(&checked));
    }
    let output = jiyue(home.path(), &["completion", "tcsh"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn man_pages_are_rendered_without_a_complaint() {
    let home = tempfile::tempdir().unwrap();
    for (lang, heading) in [("zh", "批准：占额度"), ("en", "approve: claim quota")] {
        let to = home.path().join(lang);
        let output =
            jiyue(home.path(), &["man", "--lang", lang, "--to", to.to_str().unwrap(), "-o", "json"]).output().unwrap();
        assert!(output.status.success(), "{}", err(&output));
        let pages: Vec<_> = fs::read_dir(&to).unwrap().map(|page| page.unwrap().path()).collect();
        assert!(pages.len() > 60 && pages.iter().all(|page| !page.to_string_lossy().contains("read-form")));
        let approve = fs::read_to_string(to.join("jiyue-request-approve.1")).unwrap();
        assert!(approve.replace("\\:", "").contains(heading), "{approve}");
        let complaints = |page: &std::path::Path| {
            let rendered = Command::new("groff").args(["-ww", "-k", "-man", "-Tutf8"]).arg(page).output().unwrap();
            assert!(!rendered.stdout.is_empty());
            err(&rendered)
        };
        for page in &pages {
            assert_eq!(complaints(page), "", "{}", page.display());
        }
        // groff does complain where there is cause.
        let broken = home.path().join("broken.1");
        fs::write(&broken, approve.replace(".ad l", ".no-such-request")).unwrap();
        assert_ne!(complaints(&broken), "");
    }
}
