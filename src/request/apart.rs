//! Reads uploaded files in a process of their own, with bounds on its memory and time: whatever a hostile file does to
//! the reader, it does there.
//!
//! The process is this very program. It takes the file's name as one line and then its bytes on standard input, and
//! answers with one JSON document on standard output. A name behind [`SHEETS`] asks for the sheets as they are.

use super::form::{self, Form, FormFault, Sheet};
use crate::rule::Code;
use rlimit::Resource;
use serde::{Deserialize, Serialize};
use std::{
    io::{Read as _, Write as _},
    process::{ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{io::AsyncWriteExt as _, process::Command, sync::Semaphore, time::timeout};

/// The hidden command of this program that is the other side.
pub const COMMAND: &str = "read-form";

/// Before the name where no report is wanted but the file's sheets. No name begins with it: control characters are taken
/// out of names.
const SHEETS: char = '\u{1}';

/// Memory that the process may write to.
const MEMORY: u64 = 224 << 20;
/// Processor time. A build without optimisation is some twenty times slower.
const SECONDS: u64 = if cfg!(debug_assertions) { 20 } else { 2 };
/// By the wall clock, for a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(30);
/// Readers at work at once.
const AT_ONCE: usize = 4;

/// Why there is no form.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file's fault.
    #[error(transparent)]
    Fault(#[from] FormFault),
    /// Ours.
    #[error("the reading process could not be started or talked to")]
    Process(#[source] std::io::Error),
    #[error("the reading process answered what cannot be read")]
    Answer(#[source] serde_json::Error),
}

/// Starts readers, a few at a time.
#[derive(Clone, Debug)]
pub struct Reader {
    places: Arc<Semaphore>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Form(Form),
    Sheets(Vec<Sheet>),
    Fault { code: String, reason: String },
}

impl Reader {
    /// Reads a file; its name is only a hint at its format.
    pub async fn read(&self, bytes: &[u8], name: &str) -> Result<Form, ReadError> {
        match self.ask(bytes, &plain(name)).await? {
            Answer::Form(form) => Ok(form),
            other => Err(other.into()),
        }
    }

    /// A workbook's or CSV file's sheets, as they are written.
    pub async fn sheets(&self, bytes: &[u8], name: &str) -> Result<Vec<Sheet>, ReadError> {
        match self.ask(bytes, &format!("{SHEETS}{}", plain(name))).await? {
            Answer::Sheets(sheets) => Ok(sheets),
            other => Err(other.into()),
        }
    }

    async fn ask(&self, bytes: &[u8], head: &str) -> Result<Answer, ReadError> {
        if bytes.len() > form::MAX_FILE {
            return Err(too_long("超过 16 MiB").into());
        }
        let _place = self.places.acquire().await;
        // The program that runs, even where its file has been replaced by a newer one.
        let mut child = Command::new("/proc/self/exe")
            .arg(COMMAND)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(ReadError::Process)?;
        let mut stdin = child.stdin.take();
        let talk = async {
            if let Some(mut stdin) = stdin.take() {
                // A reader that has seen enough closes its end; its answer says why.
                let _ = stdin.write_all(format!("{head}\n").as_bytes()).await;
                let _ = stdin.write_all(bytes).await;
            }
            child.wait_with_output().await
        };
        let out = match timeout(PATIENCE, talk).await {
            Ok(out) => out.map_err(ReadError::Process)?,
            Err(_) => return Err(too_long("读取用时过长").into()),
        };
        if !out.status.success() {
            return Err(too_long("读取所需的内存或时间超过上限").into());
        }
        serde_json::from_slice(&out.stdout).map_err(ReadError::Answer)
    }
}

impl From<Answer> for ReadError {
    /// What is not what was asked for.
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Fault { code, reason } => {
                let code = Code::find(&code).unwrap_or(Code::FileDamaged);
                FormFault { code, reason }.into()
            }
            Answer::Form(_) | Answer::Sheets(_) => Self::Process(std::io::ErrorKind::InvalidData.into()),
        }
    }
}

fn plain(name: &str) -> String {
    name.replace(|c: char| c.is_control(), " ")
}

fn too_long(reason: &str) -> FormFault {
    FormFault { code: Code::FileTooLarge, reason: reason.to_owned() }
}

/// The other side: reads one file under bounds. Runs before anything else of the program is set up.
pub fn child() -> ExitCode {
    let bounded = rlimit::setrlimit(Resource::DATA, MEMORY, MEMORY)
        .and_then(|()| rlimit::setrlimit(Resource::CPU, SECONDS, SECONDS))
        .and_then(|()| rlimit::setrlimit(Resource::CORE, 0, 0));
    if bounded.is_err() {
        return ExitCode::FAILURE;
    }
    let mut input = Vec::new();
    let most = u64::try_from(form::MAX_FILE + 4096).unwrap_or(u64::MAX);
    if std::io::stdin().lock().take(most).read_to_end(&mut input).is_err() {
        return ExitCode::FAILURE;
    }
    let (head, bytes) = match input.iter().position(|b| *b == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (&[][..], &input[..]),
    };
    let head = String::from_utf8_lossy(head);
    let answer = match head.strip_prefix(SHEETS) {
        Some(_) => form::sheets(bytes).map(Answer::Sheets),
        None => form::read(bytes, &head).map(Answer::Form),
    };
    let answer =
        answer.unwrap_or_else(|FormFault { code, reason }| Answer::Fault { code: code.as_str().to_owned(), reason });
    let written = serde_json::to_vec(&answer).ok().and_then(|text| std::io::stdout().lock().write_all(&text).ok());
    if written.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
