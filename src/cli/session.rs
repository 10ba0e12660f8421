//! The service and the screen of one command, and what many commands do with them.

use super::{
    ListArgs, ShowArgs, WaitArg, follow,
    language::{say, tr},
    output::Screen,
    problem::Failure,
    tables::Kind,
    watch,
};
use crate::client::{Answer, Client};
use serde_json::{Map, Value};

pub struct Session<'a> {
    pub client: Client,
    pub screen: &'a Screen,
}

impl Session<'_> {
    pub async fn list(
        &self,
        kind: Kind,
        path: &[&str],
        fields: &[(&str, Option<&str>)],
        list: &ListArgs,
    ) -> Result<(), Failure> {
        let filter = list.filter(fields, self.screen.format());
        match list.watch.pause() {
            Some(pause) => follow::list(&self.client, self.screen, kind, path, &filter, pause).await,
            None => Ok(self.screen.list(kind, &self.client.list(path, &filter).await?)?),
        }
    }

    pub async fn show(&self, kind: Kind, path: &str, args: ShowArgs) -> Result<(), Failure> {
        let path = [path, &args.target.id];
        match args.watch.pause() {
            Some(pause) => follow::one(&self.client, self.screen, kind, &path, pause).await,
            None => Ok(self.screen.one(kind, &self.client.get(&path, &[]).await?)?),
        }
    }

    /// Something new: a line that says so, then its sheet.
    pub fn made(&self, said: &str, kind: Kind, body: &Value) -> Result<(), Failure> {
        if self.screen.for_people() {
            self.screen.done(tr(said), body)?;
        }
        Ok(self.screen.one(kind, body)?)
    }

    /// A long act has begun: follow it, or say how to.
    pub async fn goes_on(&self, answer: &Answer, wait: WaitArg) -> Result<(), Failure> {
        let id = answer.body.get("id").and_then(Value::as_str);
        let id = id.or_else(|| answer.location.as_deref().and_then(|location| location.rsplit('/').next()));
        let Some(id) = id else { return Ok(self.screen.done(tr("已办"), &answer.body)?) };
        if wait.wait {
            return self.follow(id).await;
        }
        self.screen.done(&say!("已受理，操作 {id}", id), &answer.body)?;
        Ok(self.screen.note(&say!("看进度：jiyue operation watch {id}", id))?)
    }

    /// Until the end; scripts get the finished operation whether it went well or not.
    pub async fn follow(&self, id: &str) -> Result<(), Failure> {
        let operation = watch::follow(&self.client, id, self.screen).await?;
        let went = watch::succeeded(&operation);
        if !self.screen.for_people() {
            self.screen.document(&operation)?;
        } else if went.is_ok() {
            self.screen.done(tr("操作已完成"), &operation)?;
            let (kind, what) = self.result(&operation).await;
            self.screen.one(kind, &what)?;
        }
        went
    }

    /// What the operation was about, as it is now: people wait for the machines' addresses, not for the operation. The
    /// operation itself where that cannot be read, since it did succeed.
    async fn result(&self, operation: &Value) -> (Kind, Value) {
        let places = [("machine_id", "machines", Kind::Machine), ("request_id", "requests", Kind::Request)];
        for (key, path, kind) in places {
            if let Some(id) = operation.get(key).and_then(Value::as_str).filter(|id| !id.is_empty())
                && let Ok(value) = self.client.get(&[path, id], &[]).await
            {
                return (kind, value);
            }
        }
        (Kind::Operation, operation.clone())
    }
}

/// An object of what was given.
pub fn object(fields: &[(&str, Option<Value>)]) -> Map<String, Value> {
    fields.iter().filter_map(|(key, value)| Some(((*key).to_owned(), value.clone()?))).collect()
}
