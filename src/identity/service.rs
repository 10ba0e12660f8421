//! Acts on departments and tokens.

use super::{
    Actor, Department, Role,
    policy::{self, Act},
    store::{self, TokenRow},
    token::Secret,
};
use crate::{
    audit::{self, Outcome, Record, Who},
    db::Db,
    error::{Kind, Problem},
    ids::{DepartmentId, TokenId},
    text,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

/// Tokens live this long at most.
pub const MAX_TOKEN_DAYS: i64 = 90;

/// Notes in the audit trail that somebody was refused by the policy, as in `POST /v1/hosts`.
pub async fn record_denial(
    db: &Db,
    actor: &Actor,
    route: String,
    code: &'static str,
    path: String,
) -> Result<(), Problem> {
    let who = Who::from(actor);
    let department = actor.department.map(DepartmentId::text);
    db.write(async move |tx| -> Result<(), Problem> {
        let record = Record {
            who: who.clone(),
            action: "policy.denied",
            object_type: "route",
            object_id: route.clone(),
            department_id: department.clone(),
            outcome: Outcome::Denied,
            detail: json!({"code": code, "path": path}),
        };
        Ok(audit::record(tx, record).await?)
    })
    .await
}

/// A department that the actor may see.
pub async fn find_department(db: &Db, actor: &Actor, key: &str) -> Result<Department, Problem> {
    let scope = policy::scope(actor, Act::DepartmentRead)?.filter();
    let mut conn = db.read().await?;
    let found = store::find_department(&mut conn, key).await?;
    found
        .filter(|department| scope.is_none_or(|own| own == department.id.text()))
        .ok_or_else(|| Problem::not_found("建设单位"))
}

/// Gives a department another name, unless somebody changed it since `revision`.
pub async fn rename_department(
    db: &Db,
    actor: &Actor,
    department: &Department,
    name: &str,
    revision: i64,
) -> Result<Department, Problem> {
    policy::scope(actor, Act::DepartmentChange)?;
    let renamed = Department { name: plain("/name", name)?, ..department.clone() };
    if renamed.name == department.name {
        return Ok(renamed);
    }
    let (who, old, new) = (Who::from(actor), department.clone(), renamed.clone());
    db.write(async move |tx| -> Result<(), Problem> {
        let done = store::rename_department(tx, &old, &new.name, revision)
            .await
            .map_err(|error| if error.is_duplicate_of("name") { name_taken(&new.name) } else { error.into() })?;
        if !done {
            return Err(Problem::changed());
        }
        let record = Record {
            who: who.clone(),
            action: Act::DepartmentChange.word(),
            object_type: "department",
            object_id: new.id.text(),
            department_id: Some(new.id.text()),
            outcome: Outcome::Done,
            detail: json!({"from": old.name, "to": new.name}),
        };
        Ok(audit::record(tx, record).await?)
    })
    .await?;
    Ok(renamed)
}

/// Enters a department.
pub async fn create_department(db: &Db, actor: &Actor, code: String, name: String) -> Result<Department, Problem> {
    policy::scope(actor, Act::DepartmentCreate)?;
    let code_ok = !code.is_empty()
        && code.len() <= 32
        && code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !code_ok {
        return Err(Problem::malformed("/code: 单位代码只能由 1 至 32 个小写字母、数字和连字符组成，例如 mzj"));
    }
    let name = plain("/name", &name)?;
    let department = Department { id: DepartmentId::new(), code, name };
    let who = Who::from(actor);
    let row = department.clone();
    db.write(async move |tx| -> Result<(), Problem> {
        store::insert_department(tx, &row).await.map_err(|error| {
            if error.is_duplicate_of("code") {
                Problem::conflict("department_code_taken", format!("单位代码 {} 已被使用", row.code))
            } else if error.is_duplicate_of("name") {
                name_taken(&row.name)
            } else {
                error.into()
            }
        })?;
        let record = Record {
            who: who.clone(),
            action: Act::DepartmentCreate.word(),
            object_type: "department",
            object_id: row.id.text(),
            department_id: Some(row.id.text()),
            outcome: Outcome::Done,
            detail: json!({"code": row.code, "name": row.name}),
        };
        Ok(audit::record(tx, record).await?)
    })
    .await?;
    Ok(department)
}

fn name_taken(name: &str) -> Problem {
    Problem::conflict("department_name_taken", format!("单位 {name} 已登记"))
}

/// What a new token is to be.
#[derive(Clone, Debug)]
pub struct NewToken {
    pub login: String,
    pub name: String,
    /// For a requester the department's name is taken instead.
    pub unit: String,
    pub role: Role,
    /// The department's code; for requesters, and for them alone.
    pub department: Option<String>,
    pub days: i64,
}

/// Issues a token, on the console of the broker's machine. The secret is handed over here and kept nowhere.
pub async fn create_token(db: &Db, new: NewToken) -> Result<(TokenId, Secret, Timestamp), Problem> {
    let bad = |code, detail: String| Err(Problem::new(Kind::Refused, code, detail));
    if !(1..=MAX_TOKEN_DAYS).contains(&new.days) {
        return bad("bad_value", format!("--expires-days 须在 1 至 {MAX_TOKEN_DAYS} 之间"));
    }
    if new.login.is_empty() || new.login.len() > 64 || !new.login.bytes().all(|b| b.is_ascii_graphic()) {
        return bad("bad_value", "--person 须为 1 至 64 个可见的 ASCII 字符，例如 zhangsan".to_owned());
    }
    let name = plain("--name", &new.name)?;
    let department = match (new.role, &new.department) {
        (Role::Requester, None) => {
            return bad("required", "申请人的令牌须用 --department 指明单位代码".to_owned());
        }
        (Role::Requester, Some(code)) => {
            let mut conn = db.read().await?;
            match store::find_department(&mut conn, code).await? {
                Some(department) => Some(department),
                None => {
                    return bad("not_found", format!("没有代码为 {code} 的单位；请先用 jiyue department create 登记"));
                }
            }
        }
        (_, Some(_)) => {
            return bad("bad_value", format!("角色 {} 不属于某个建设单位，请去掉 --department", new.role));
        }
        (_, None) => None,
    };
    // A project team's unit is its department, whatever was typed: who may decide is judged by it.
    let unit = department.as_ref().map_or(new.unit, |d| d.name.clone());
    let unit = plain("--unit", &unit)?;
    let secret = Secret::generate().map_err(Problem::internal)?;
    let (id, hash) = (TokenId::new(), secret.digest());
    let expires_at = db.clock().now() + SignedDuration::from_hours(24 * new.days);
    let (login, role) = (new.login, new.role);
    let department = department.map(|d| d.id);
    db.write(async move |tx| -> Result<(), Problem> {
        let person = store::upsert_person(tx, &login, &name).await?;
        let row = TokenRow { id, person, unit: unit.clone(), role, department, expires_at, revoked_at: None };
        store::insert_token(tx, &row, &hash).await?;
        let record = Record {
            who: Who::console(),
            action: "token.create",
            object_type: "token",
            object_id: id.text(),
            department_id: department.map(DepartmentId::text),
            outcome: Outcome::Done,
            detail: json!({"person": login, "unit": unit, "role": role.word(), "expires_at": expires_at}),
        };
        Ok(audit::record(tx, record).await?)
    })
    .await?;
    Ok((id, secret, expires_at))
}

/// Ends a token.
pub async fn revoke_token(db: &Db, id: TokenId) -> Result<(), Problem> {
    db.write(async move |tx| {
        if !store::revoke_token(tx, &id.text()).await? {
            return Err(Problem::not_found("有效的令牌"));
        }
        let record = Record {
            who: Who::console(),
            action: "token.revoke",
            object_type: "token",
            object_id: id.text(),
            department_id: None,
            outcome: Outcome::Done,
            detail: json!({}),
        };
        Ok(audit::record(tx, record).await?)
    })
    .await
}

/// A name of one line, in its canonical form.
pub fn plain(field: &str, text: &str) -> Result<String, Problem> {
    text::said(text, text::NAME).map_err(|fault| {
        Problem::new(
            Kind::Refused,
            "text_refused",
            format!("{field}: 文字不符合要求（{fault}）；请改为 1 至 100 字的一行文字"),
        )
    })
}
