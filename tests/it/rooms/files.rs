//! Files as offices and others send them.

use super::{ROOMS, SERVERS, SYSTEMS, Stage, district, workbook};
use crate::support::{broker::On, plain};
use serde_json::{Value, json};
use std::{
    io::{Cursor, Write as _},
    process::Command,
};

#[tokio::test(flavor = "multi_thread")]
async fn csv_files_come_one_by_one_in_either_encoding() {
    let stage = Stage::new(On::Sqlite).await;
    let (gbk, _, _) = encoding_rs::GB18030.encode(SERVERS);
    for content in [ROOMS.as_bytes().to_vec(), gbk.into_owned(), SYSTEMS.as_bytes().to_vec()] {
        stage.import(&content).await;
    }
    let pairs = "系统名称,依赖的系统\n低保审批系统,婚姻登记查询\n";
    let done = stage.import(pairs.as_bytes()).await;
    let to = &done["changes"][0]["fields"][0]["to"];
    assert!(to.as_str().unwrap().contains("婚姻登记查询") && to.as_str().unwrap().contains("学籍管理系统"), "{done:#}");
    let again = stage.import(SYSTEMS.as_bytes()).await;
    // The whole list of a row is what is so now.
    assert_eq!((&again["changed"], &again["same"]), (&json!(1), &json!(4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_is_imported_as_the_same_and_libreoffice_opens_it() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        stage.import(&district()).await;
        let (raw, cast) = (&stage.raw, &stage.cast);
        let book = raw.get("/v1/rooms/export", &cast.authority).await.bytes;
        let shown = stage.send(&cast.operator, book.clone(), "").await.json();
        assert_eq!((&shown["new"], &shown["changed"], &shown["same"]), (&json!(0), &json!(0), &json!(12)), "{shown:#}");
        let text = raw.get("/v1/rooms/export?format=csv", &cast.authority).await.bytes;
        let shown = stage.send(&cast.operator, text, "").await.json();
        assert_eq!((&shown["new"], &shown["changed"], &shown["same"]), (&json!(0), &json!(0), &json!(5)), "{shown:#}");
        let merge = raw.get("/v1/rooms/export?form=merge&format=csv", &cast.authority).await.text;
        assert!(merge.contains("老年证系统") && merge.contains("以处室名义") && !merge.contains("门户网站"), "{merge}");
        let access = raw.get("/v1/rooms/export?form=access&format=csv", &cast.authority).await.text;
        assert!(access.contains("学籍管理系统") && access.contains("未接入") && !access.contains("老年证"), "{access}");
        // A department's own, and no more.
        let own = raw.get("/v1/rooms/export?format=csv", &cast.other_requester).await.text;
        assert!(own.contains("学籍管理系统") && !own.contains("低保"), "{own}");
        if on == On::Sqlite {
            // LibreOffice saves it anew in its own way, and it is still the same survey.
            let folder = &stage.broker.setup.folder;
            std::fs::write(folder.join("survey.xlsx"), &book).unwrap();
            let out = Command::new("soffice")
                .arg("--headless")
                .arg(format!("-env:UserInstallation=file://{}", folder.join("soffice").display()))
                .args(["--convert-to", "xlsx:Calc MS Excel 2007 XML", "--outdir"])
                .arg(folder.join("again"))
                .arg(folder.join("survey.xlsx"))
                .output()
                .expect("LibreOffice is installed (make setup)");
            let again = std::fs::read(folder.join("again/survey.xlsx"));
            let again = again.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out.stderr)));
            let shown = stage.send(&cast.operator, again, "").await.json();
            assert_eq!(
                (&shown["new"], &shown["changed"], &shown["same"]),
                (&json!(0), &json!(0), &json!(12)),
                "{shown:#}"
            );
        }
    }
}

/// A package whose one worksheet is this.
fn package(sheet: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    let parts: [(&str, &[u8]); 4] = [
        ("[Content_Types].xml", br#"<Types><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>"#),
        ("_rels/.rels", br#"<Relationships><Relationship Id="r" Type="x/officeDocument" Target="xl/workbook.xml"/></Relationships>"#),
        ("xl/workbook.xml", br#"<workbook><sheets><sheet name="a" id="s"/></sheets></workbook>"#),
        ("xl/_rels/workbook.xml.rels", br#"<Relationships><Relationship Id="s" Type="x/worksheet" Target="worksheets/a.xml"/></Relationships>"#),
    ];
    for (name, content) in parts.into_iter().chain([("xl/worksheets/a.xml", sheet)]) {
        zip.start_file(name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_files_are_refused_clearly_and_nothing_is_written() {
    let stage = Stage::new(On::Sqlite).await;
    let url = &stage.broker.setup.database_url;
    let token = &stage.cast.operator;
    let many: String = (0..200_000).map(|n| format!("系统{n},相城区民政局,审批,否,民政老楼机房\n")).collect();
    let many = format!("系统名称,建设单位,功能,是否涉密,所在机房\n{many}");
    let bomb =
        [&b"<worksheet><sheetData><row><c><v>"[..], &vec![b'1'; 120 << 20], b"</v></c></row></sheetData></worksheet>"]
            .concat();
    let mut formulas = rust_xlsxwriter::Workbook::new();
    let sheet = formulas.add_worksheet();
    for (column, text) in (0..).zip(["机房名称", "建设单位", "机房类型", "机柜数"]) {
        sheet.write_string(0, column, text).unwrap();
    }
    for (column, text) in (0..).zip(["一号", "相城区民政局", "普通"]) {
        sheet.write_string(1, column, text).unwrap();
    }
    sheet.write_formula(1, 3, rust_xlsxwriter::Formula::new("=2+2").set_result("4")).unwrap();
    let half = format!("{ROOMS}坏机房,无此单位,普通,,,,,\n");
    let before = plain::number(url, "select count(*) from audit").await;
    for (what, content, status, code) in [
        ("two hundred thousand rows", many.into_bytes(), 413, "file_too_large"),
        ("a zip bomb", package(&bomb), 413, "file_too_large"),
        ("a sheet with nothing", package(b"<worksheet><sheetData/></worksheet>"), 422, "survey_empty"),
        ("nothing", Vec::new(), 422, "file_not_recognised"),
        ("a picture", b"\x89PNG\r\n\x1a\n".to_vec(), 422, "file_not_recognised"),
        ("a broken package", district()[..400].to_vec(), 422, "file_damaged"),
        ("a formula for a number", formulas.save_to_buffer().unwrap(), 422, "survey_formula"),
        ("one wrong row among good ones", half.into_bytes(), 422, "survey_department_unknown"),
        (
            "a secret system",
            workbook(&[
                ("机房", ROOMS),
                ("系统", "系统名称,建设单位,功能,是否涉密,所在机房\n某,相城区民政局,x,机密,民政老楼机房\n"),
            ]),
            422,
            "survey_secret",
        ),
    ] {
        let reply = stage.send(token, content, "").await;
        let codes: Vec<String> = reply.violations().into_iter().map(|(_, code)| code).collect();
        assert_eq!((reply.status, codes), (status, vec![code.to_owned()]), "{what}: {}", reply.text);
        let first = &reply.json()["errors"][0];
        assert!(
            !first["mend"].as_str().unwrap().is_empty() && !first["basis"].as_str().unwrap().is_empty(),
            "{first:#}"
        );
    }
    let refused = stage.raw.post("/v1/rooms/import", token, "application/json", b"{}".to_vec()).await;
    assert_eq!((refused.status, refused.problem().as_str()), (415, "unsupported_media_type"));
    for table in ["rooms", "systems", "servers", "estate_versions"] {
        assert_eq!(plain::number(url, &format!("select count(*) from {table}")).await, 0, "{table}");
    }
    assert_eq!(plain::number(url, "select count(*) from audit").await, before);
    assert_eq!(plain::number(url, "select revision from estate").await, 0);
    // The secret one's clause.
    let secret = workbook(&[("系统", "系统名称,建设单位,功能,是否涉密,所在机房\n某,相城区民政局,x,涉密,政务云\n")]);
    let reply = stage.send(token, secret, "").await.json();
    assert_eq!(reply["errors"][0]["basis"], "相政办〔2018〕151号 二（一）基本原则1", "{reply:#}");
    assert_eq!(reply["errors"][0]["place"], json!({"sheet": "系统", "row": 2, "column": 4}));
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_command_line_a_planner_imports_looks_and_reports() {
    let stage = Stage::new(On::Sqlite).await;
    let (broker, cast) = (&stage.broker, &stage.cast);
    let file = broker.setup.folder.join("自查表.xlsx");
    std::fs::write(&file, district()).unwrap();
    let file = file.to_str().unwrap();
    let cli = |token: &str, args: &[&str]| {
        let out = broker.setup.cli(Some(broker), token, args);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let shown: Value = serde_json::from_str(&cli(&cast.operator, &["-o", "json", "room", "import", file])).unwrap();
    let digest = shown["digest"].as_str().unwrap();
    let said = cli(&cast.operator, &["room", "import", file, "--apply", digest]);
    assert!(said.contains("民政老楼机房") && said.contains("新增"), "{said}");
    let listed = cli(&cast.authority, &["room", "list", "--standing", "pending"]);
    assert!(
        listed.contains("民政老楼机房") && listed.contains("2020-08-22") && !listed.contains("接入机房"),
        "{listed}"
    );
    let room = stage.room("民政老楼机房").await;
    let sheet = cli(&cast.requester, &["room", "show", room["id"].as_str().unwrap()]);
    assert!(sheet.contains("系统迁出") && sheet.contains("低保审批系统"), "{sheet}");
    let report = cli(&cast.auditor, &["report", "rooms"]);
    assert!(report.contains("应用 5 个，已上云 1 个（20%）") && report.contains("会逾期"), "{report}");
    let book = broker.setup.folder.join("进展.xlsx");
    cli(&cast.auditor, &["-o", "xlsx", "report", "rooms", "--to", book.to_str().unwrap()]);
    assert!(std::fs::read(&book).unwrap().starts_with(b"PK"));
    // A day before workbooks know dates has a report too: of nothing.
    let old = stage.raw.get("/v1/reports/rooms?as_of=1600-01-01&format=xlsx", &cast.auditor).await;
    assert!(old.status == 200 && old.bytes.starts_with(b"PK"), "{old:?}");
    let system = stage.system("低保审批系统").await;
    let fate = cli(&cast.requester, &["system", "move", &system]);
    assert!(fate.contains("已普查") && fate.contains("操作系统 Windows Server 2008"), "{fate}");
    cli(
        &cast.operator,
        &["system", "advance", &system, "--step", "assess", "--evidence", "评估表", "--difficulty", "3"],
    );
    let deadlines = cli(&cast.requester, &["deadline", "list"]);
    assert!(deadlines.contains("jiangsu-2017-5"), "{deadlines}");
    cli(&cast.authority, &["deadline", "meet", "jiangsu-2017-5", "--evidence", "清理报告"]);
    let twice =
        broker.setup.cli(Some(broker), &cast.authority, &["deadline", "meet", "jiangsu-2017-5", "--evidence", "x"]);
    assert_eq!(twice.status.code(), Some(4), "{}", String::from_utf8_lossy(&twice.stderr));
}
