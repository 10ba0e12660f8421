//! Requests that come as files: what the file lacks is given by flags; a check needs no server.

use super::{
    FormArg,
    document::DocumentError,
    language::{comma, say, tr},
    output::Screen,
    problem::Failure,
};
use crate::{
    catalogue::Catalogue,
    client::{Answer, Client, Problem},
    error::story,
    jurisdiction::Profile,
    request::{
        form,
        offline::{self, NOT_CHECKED, Shown},
        raw::RawReport,
        rules::{Code, Ground, Violation},
    },
    time::Clock,
};
use serde_json::{Map, Value, json};
use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// The file is one for people to fill in, not a document of fields.
pub fn is_form(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    // Whatever is not known to be text goes the way of forms, whose reader says what it is.
    !matches!(extension.as_str(), "" | "yaml" | "yml" | "json" | "txt") && path != Path::new("-")
}

/// The file's bytes, no more than a form may have.
fn bytes(path: &Path) -> Result<Vec<u8>, DocumentError> {
    let failed = |source| DocumentError::Read { path: path.into(), source };
    let most = u64::try_from(form::MAX_FILE).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        File::open(path).and_then(|f| f.take(most + 1).read_to_end(&mut bytes)).map_err(failed)?;
    }
    if bytes.is_empty() {
        return Err(DocumentError::Empty { path: path.into() });
    }
    Ok(bytes)
}

/// What the flags say, as fields of the report.
pub fn fields(args: &FormArg) -> Result<Map<String, Value>, DocumentError> {
    let mut fields = Map::new();
    for (key, value) in &args.set {
        fields.insert(key.clone(), Value::from(value.as_str()));
    }
    if let Some(number) = &args.task_book {
        fields.insert("task_book".to_owned(), Value::from(number.as_str()));
    }
    if let Some(provider) = args.provider {
        fields.insert("provider".to_owned(), json!(provider));
    }
    if let (Some(name), contact) = (&args.om_unit, &args.om_contact) {
        fields.insert("om_unit".to_owned(), json!({"name": name, "contact": contact.clone().unwrap_or_default()}));
    }
    let mut keys = Vec::new();
    for path in &args.ssh_keys {
        let text = String::from_utf8(bytes(path)?)
            .map_err(|_| DocumentError::NotUtf8 { path: PathBuf::from(path), line: 1 })?;
        keys.extend(text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(Value::from));
    }
    if !keys.is_empty() {
        fields.insert("ssh_keys".to_owned(), Value::from(keys));
    }
    Ok(fields)
}

/// Sends the file with what the flags add to it.
pub async fn send(client: &Client, path: &[&str], args: &FormArg) -> Result<Answer, Failure> {
    let name = args.file.file_name().and_then(|name| name.to_str()).unwrap_or("request");
    let (content, fields) = (bytes(&args.file)?, fields(args)?);
    Ok(client.hand_in(path, name, content, &Value::Object(fields)).await?)
}

/// The check without a server.
pub fn check(args: &FormArg, profile: &str, screen: &Screen) -> Result<(), Failure> {
    let profile = profile_of(profile)?;
    let catalogue = Catalogue::embedded().map_err(|e| Failure::Settings(e.to_string()))?;
    let name = args.file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let unreadable = |code: Code, reason: &str| {
        let violation = Violation::new(&profile, code, code.rule().field, &[("reason", &reason)]);
        refused("file_refused", tr("文件无法受理"), &[violation], None)
    };
    let form = form::read(&bytes(&args.file)?, name).map_err(|fault| unreadable(fault.code, &fault.reason))?;
    let report = RawReport::of_form(form, &fields(args)?).map_err(|e| unreadable(Code::FileDamaged, &e.to_string()))?;
    let ground = Ground { catalogue: &catalogue, profile: &profile, today: Clock::System.today() };
    let Shown { blocks, known, violations, needed } = offline::check(&report, ground);
    if !violations.is_empty() {
        return Err(refused("rules_violated", tr("未通过审核规则"), &violations, Some(&report)));
    }
    // Only what is complete has a digest.
    let checked: Vec<Value> = match &blocks[..] {
        [] => known.into_iter().map(|block| json!({"block": block})).collect(),
        blocks => blocks.iter().map(|block| json!({"digest": block.digest(), "block": block})).collect(),
    };
    let answer = json!({
        "admissible": true,
        "blocks": checked,
        "document": report.as_read(),
        "places": report.places,
        "needed": needed,
        "not_checked": NOT_CHECKED,
    });
    screen.done(tr("可以提交：文件本身没有不符合之处"), &answer)?;
    if screen.for_people() {
        screen.report(&answer)?;
        for need in &needed {
            screen.note(&say!(
                "提交时还要补充“{field}”（{pointer}）：{mend}",
                field = need.field,
                pointer = need.pointer,
                mend = need.mend
            ))?;
        }
        screen.note(&say!("没有连接服务，以下没有检查：{all}。", all = NOT_CHECKED.join(comma())))?;
    }
    Ok(())
}

/// A district's profile.
pub fn profile_of(name: &str) -> Result<Profile, Failure> {
    Profile::named(name).map_err(|error| Failure::Settings(story(&error).join(": ")))
}

/// The same document that a server answers with.
fn refused(code: &str, title: &str, errors: &[Violation], report: Option<&RawReport>) -> Failure {
    let mut raw = json!({
        "type": "about:blank",
        "title": title,
        "detail": say!("共有 {n} 处不符合要求，请逐项修改后重新检查", n = errors.len()),
        "code": code,
        "errors": errors,
    });
    if let Some(report) = report {
        raw["document"] = report.as_read();
        raw["places"] = json!(report.places);
    }
    Problem::from_json(raw).map_or(Failure::Settings(code.to_owned()), |problem| Failure::Checked(Box::new(problem)))
}
