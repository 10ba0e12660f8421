//! `jiyue top`: looks at the capacity report again and again. A terminal is drawn on and listens to keys; anything else gets
//! one look.

mod draw;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod view;

use super::{
    language::tr,
    parsers::seconds,
    problem::{self, Failure},
    reports,
    session::Session,
};
use crate::client::Client;
use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use serde_json::Value;
use std::{
    io::{self, IsTerminal},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};
use tokio::{sync::Notify, task::spawn_blocking, time::sleep};
use view::{After, View};

#[derive(Clone, Copy, Debug, Args)]
pub struct TopArgs {
    /// 隔多少秒看一次；默认 2
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub interval: Option<u32>,
}

/// Between two looks at the keys.
const KEYS: Duration = Duration::from_millis(100);

/// What came of a look: the report, or why there is none.
type Look = Result<Value, String>;

async fn ask(client: &Client) -> Result<Value, Failure> {
    Ok(client.get(&["reports", "capacity"], &[]).await?)
}

pub async fn run(session: &Session<'_>, args: TopArgs) -> Result<(), Failure> {
    let screen = session.screen;
    // Whoever may not look is told so before anything is drawn.
    let first = ask(&session.client).await?;
    if !screen.can_redraw() || !io::stdin().is_terminal() {
        if !screen.for_people() {
            return Ok(screen.document(&first)?);
        }
        reports::capacity(screen, &first)?;
        return Ok(screen.note(tr(draw::SOURCE))?);
    }
    let (told, looks) = channel();
    // The other side is there until it has drawn its last.
    let _ = told.send(Ok(first));
    let again = Arc::new(Notify::new());
    let drawn = spawn_blocking({
        let again = Arc::clone(&again);
        move || on_terminal(&looks, &again)
    });
    let pause = Duration::from_secs(args.interval.unwrap_or(2).into());
    let looking = async {
        loop {
            tokio::select! {
                () = sleep(pause) => {}
                () = again.notified() => {}
            }
            let look = ask(&session.client)
                .await
                .map_err(|failure| problem::report(&failure).map(|report| report.title).unwrap_or_default());
            if told.send(look).is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        drawn = drawn => Ok(drawn.map_err(io::Error::other)??),
        () = looking => Ok(()),
    }
}

/// Draws until somebody wants it to end. The terminal is as before afterwards.
fn on_terminal(looks: &Receiver<Look>, again: &Notify) -> io::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let mut view = View::new(jiff::tz::TimeZone::system());
    let drawn = loop {
        while let Ok(look) = looks.try_recv() {
            view.look(look);
        }
        if let Err(error) = terminal.draw(|frame| draw::draw(frame, &view)) {
            break Err(error);
        }
        match key(&mut view) {
            Ok(After::Go) => {}
            Ok(After::Refresh) => again.notify_one(),
            Ok(After::Quit) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    ratatui::try_restore()?;
    drawn
}

fn key(view: &mut View) -> io::Result<After> {
    if !event::poll(KEYS)? {
        return Ok(After::Go);
    }
    match event::read()? {
        Event::Key(key) if key.kind == KeyEventKind::Press => Ok(view.key(key.code, key.modifiers)),
        _ => Ok(After::Go),
    }
}
