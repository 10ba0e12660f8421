//! Folds histories: reads what is remembered, folds, writes, in one transaction for each piece.

use super::{
    columns::{Column, Columns, HeaderFault},
    faults::{Fault, Faults},
    inflate::{Inflate, Inflater},
    pieces::{Cutter, Endless, Piece},
    rows::{self, Parsed, Series},
};
use crate::{
    audit::{self, Outcome, Record, Who},
    db::{Db, DbError, Tx},
    error::{Kind, Problem},
    identity::{
        Actor,
        policy::{self, Act},
    },
    ids::MachineId,
    metrics::Metrics,
    usage::{
        point::{Cause, Interval, Metric},
        service::Tally,
        store::{self, Target},
        track::Gauge,
    },
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde_json::json;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task::{JoinHandle, spawn_blocking},
};

/// Subjects that one statement carries.
const MOST: usize = 250;
/// Days that wait to be written together.
const DAYS: usize = 500;

/// A file's pieces: so many bytes are read at once, folded at once, and committed at once. Two are held while a third is
/// written.
const PIECE: usize = 16 << 20;
/// Names that are looked up together.
const NAMES: usize = 500;
/// Names that nobody has, as far as they are told one by one.
const STRANGERS: usize = 20;

/// Some of what one subject has done, in the order of the instants.
#[derive(Clone, Debug)]
pub struct History {
    pub subject: Target,
    pub gauges: Vec<Gauge>,
}

/// A gauge, or one metric of it, that was not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its place among the histories, and among the gauges of that one.
    pub history: usize,
    pub gauge: usize,
    /// `None`: all of it.
    pub metric: Option<Metric>,
    pub cause: Cause,
}

/// What came of some histories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    pub tally: Tally,
    /// Days that are over, and written.
    pub days: u64,
    pub refused: Vec<Refused>,
}

/// Folds histories into the days of their subjects, as a part of somebody's transaction. What is not newer than what is known
/// of a subject is refused and changes nothing, so that the same again does not either. Histories are in the order of their
/// subjects, each of which is there once.
pub async fn fold(tx: &mut Tx, histories: &[History], interval: Interval) -> Result<Folded, DbError> {
    let (now, mut folded) = (tx.now(), Folded::default());
    for (part, histories) in histories.chunks(MOST).enumerate() {
        let subjects: Vec<&Target> = histories.iter().map(|history| &history.subject).collect();
        let mut meters = store::hold_meters(tx, &subjects).await?;
        let mut closed = Vec::new();
        for (at, (meter, history)) in meters.iter_mut().zip(histories).enumerate() {
            for (gauge, value) in history.gauges.iter().enumerate() {
                let step = meter.open.replay(value, interval, now);
                folded.tally.add(&step);
                let mut refuse = |metric, cause| {
                    folded.refused.push(Refused { history: part * MOST + at, gauge, metric, cause });
                };
                if let (None, Some(cause)) = (step.taken.point, step.taken.cause) {
                    refuse(None, cause);
                }
                for (metric, cause) in Metric::ALL.into_iter().zip(step.taken.refused) {
                    if let Some(cause) = cause {
                        refuse(Some(metric), cause);
                    }
                }
                closed.extend(step.closed.map(|day| (&history.subject.id[..], day)));
                if closed.len() >= DAYS {
                    folded.days += closed.len() as u64;
                    store::keep_days(tx, &closed).await?;
                    closed.clear();
                }
            }
        }
        folded.days += closed.len() as u64;
        store::keep_days(tx, &closed).await?;
        store::keep_meters(tx, &meters).await?;
    }
    Ok(folded)
}

/// Takes histories as CSV files.
#[derive(Clone)]
pub struct Importer {
    pub db: Db,
    pub metrics: Metrics,
}

/// What came of a file.
#[derive(Debug, Default)]
pub struct Imported {
    /// Lines that held anything, without the header.
    pub rows: u64,
    pub subjects: u64,
    pub points: u64,
    pub days: u64,
    /// Given, or learnt from the first piece; `None` for a file of a header alone.
    pub interval: Option<Interval>,
    pub faults: Faults,
    /// The first names that nobody has, or several.
    pub strangers: Vec<String>,
}

/// What ends an import before its file does.
#[derive(Debug, thiserror::Error)]
enum Broke {
    #[error("the upload broke off")]
    CutShort,
    #[error(transparent)]
    Inflate(#[from] Inflate),
    #[error(transparent)]
    Endless(#[from] Endless),
}

/// What a name of the file is to us.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    Target(Target),
    Nobody,
    Several,
}

type Pieces = Receiver<Result<Piece, Broke>>;

impl Importer {
    /// Folds a file, piece by piece. What is answered is written; where a problem is answered, so are the pieces that it
    /// names, and the same file once more adds the rest.
    pub async fn import<E>(
        &self,
        actor: &Actor,
        interval: Option<Interval>,
        body: impl Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
    ) -> Result<Imported, Problem>
    where
        E: Send + 'static,
    {
        policy::scope(actor, Act::UsageImport)?;
        let (sender, pieces) = mpsc::channel(1);
        // A task of its own, so that the next piece comes while this one is folded.
        tokio::spawn(cut(body, sender));
        let mut import = Import {
            db: self.db.clone(),
            who: actor.into(),
            id: uuid::Uuid::now_v7().to_string(),
            interval,
            names: HashMap::new(),
            all: Imported::default(),
            tally: Tally::default(),
            through: 0,
        };
        let result = import.run(pieces).await;
        self.metrics.usage_folded(import.tally.points, &import.tally.causes);
        result.map(|()| import.ended())
    }
}

/// Receives, unpacks and cuts, until the file ends, breaks, or nobody wants more.
async fn cut<E>(mut body: impl Stream<Item = Result<Bytes, E>> + Unpin, sender: Sender<Result<Piece, Broke>>) {
    let (mut inflater, mut cutter, mut ready) = (Inflater::default(), Cutter::new(PIECE), Vec::new());
    let mut broke = None;
    while let Some(bytes) = body.next().await {
        let Ok(bytes) = bytes else {
            broke = Some(Broke::CutShort);
            break;
        };
        let pushed = inflater.push(&bytes, |bytes| {
            ready.extend(cutter.push(bytes)?);
            Ok::<_, Broke>(())
        });
        for piece in ready.drain(..) {
            if sender.send(Ok(piece)).await.is_err() {
                return;
            }
        }
        if let Err(error) = pushed {
            broke = Some(error);
            break;
        }
    }
    if broke.is_none() {
        let pushed = inflater.finish(|bytes| {
            ready.extend(cutter.push(bytes)?);
            Ok::<_, Broke>(())
        });
        ready.extend(cutter.finish());
        broke = pushed.err();
    }
    // Of a file that broke the last line may be half a line: what has no whole piece is not read.
    let last = if let Some(broke) = broke { vec![Err(broke)] } else { ready.into_iter().map(Ok).collect() };
    for piece in last {
        if sender.send(piece).await.is_err() {
            return;
        }
    }
}

/// One file on its way.
struct Import {
    db: Db,
    who: Who,
    id: String,
    interval: Option<Interval>,
    names: HashMap<String, Known>,
    all: Imported,
    tally: Tally,
    /// The last line that is written.
    through: u64,
}

/// A piece that is being written.
struct Writing {
    job: JoinHandle<Result<Folded, DbError>>,
    lines: Vec<Vec<u32>>,
    first: u64,
    last: u64,
}

impl Import {
    async fn run(&mut self, mut pieces: Pieces) -> Result<(), Problem> {
        let Some(first) = pieces.recv().await else { return Err(refused_header(&[HeaderFault::Unreadable])) };
        let mut first = first.map_err(|broke| self.broke(&broke))?;
        let columns = Arc::new(header(&mut first)?);
        let (mut next, mut writing) = (Some(Ok(first)), None);
        while let Some(piece) = next {
            let piece = match piece {
                Ok(piece) => piece,
                Err(broke) => {
                    self.written(&columns, writing.take()).await?;
                    return Err(self.broke(&broke));
                }
            };
            let (first, last) = (piece.line, piece.last());
            let by = Arc::clone(&columns);
            // While the one before is written.
            let parsed = spawn_blocking(move || rows::parse(&by, &piece)).await;
            self.written(&columns, writing.take()).await?;
            let parsed = parsed.map_err(Problem::internal)?;
            writing = self.write(parsed, first, last).await?;
            next = pieces.recv().await;
        }
        self.written(&columns, writing).await
    }

    /// Begins to write a piece.
    async fn write(&mut self, parsed: Parsed, first: u64, last: u64) -> Result<Option<Writing>, Problem> {
        self.all.rows += parsed.rows;
        self.all.faults.absorb(parsed.faults);
        self.look_up(&parsed.series).await?;
        let mut known: Vec<(History, Vec<u32>)> = Vec::with_capacity(parsed.series.len());
        for Series { name, gauges, lines } in parsed.series {
            let cause = match self.names.get(&name) {
                Some(Known::Target(subject)) => {
                    known.push((History { subject: subject.clone(), gauges }, lines));
                    continue;
                }
                Some(Known::Several) => "ambiguous_name",
                Some(Known::Nobody) | None => "unknown_name",
            };
            for line in lines {
                self.all.faults.note(Fault { line: first + u64::from(line), column: Some("vm"), cause });
            }
        }
        if known.is_empty() {
            return Ok(None);
        }
        let interval = match self.interval {
            Some(interval) => interval,
            None => rows::learn(known.iter().map(|(history, _)| &history.gauges[..])).ok_or_else(|| {
                let detail = "看不出采样间隔：没有哪台机器有两行以上；请用 interval_seconds 给出间隔（秒）";
                Problem::new(Kind::Refused, "interval_unknown", detail)
            })?,
        };
        self.interval = Some(interval);
        self.all.interval = Some(interval);
        // A machine may be called by its name here and by its id there.
        known.sort_by(|one, other| one.0.subject.cmp(&other.0.subject));
        known.dedup_by(|next, kept| {
            let same = next.0.subject == kept.0.subject;
            if same {
                kept.0.gauges.append(&mut next.0.gauges);
                kept.1.append(&mut next.1);
            }
            same
        });
        let (histories, lines): (Vec<_>, Vec<_>) = known.into_iter().unzip();
        let (db, who, id) = (self.db.clone(), self.who.clone(), self.id.clone());
        let job = tokio::spawn(async move {
            db.write(async move |tx| -> Result<Folded, DbError> {
                let folded = fold(tx, &histories, interval).await?;
                let record = Record {
                    who: who.clone(),
                    action: Act::UsageImport.word(),
                    object_type: "usage_import",
                    object_id: id.clone(),
                    department_id: None,
                    outcome: Outcome::Done,
                    detail: json!({"from_line": first, "to_line": last, "subjects": histories.len(),
                        "points": folded.tally.points, "interval_seconds": interval.as_millis() / 1000}),
                };
                audit::record(tx, record).await?;
                Ok(folded)
            })
            .await
        });
        Ok(Some(Writing { job, lines, first, last }))
    }

    /// Waits until a piece is written, and counts what came of it.
    async fn written(&mut self, columns: &Columns, writing: Option<Writing>) -> Result<(), Problem> {
        let Some(Writing { job, lines, first, last }) = writing else { return Ok(()) };
        let folded = job.await.map_err(Problem::internal)?.map_err(|error| self.unwritten(error))?;
        self.through = last;
        self.tally.absorb(folded.tally);
        self.all.days += folded.days;
        for Refused { history, gauge, metric, cause } in folded.refused {
            // Which of the file's numbers it was is told where it was read.
            if metric.is_some() && matches!(cause, Cause::NotANumber | Cause::Negative) {
                continue;
            }
            let Some(line) = lines.get(history).and_then(|lines| lines.get(gauge)) else { continue };
            let column = metric.map_or(Column::Ts, |metric| columns.of(metric)).word();
            self.all.faults.note(Fault { line: first + u64::from(*line), column: Some(column), cause: cause.word() });
        }
        Ok(())
    }

    /// Whose the names are that have not come before.
    async fn look_up(&mut self, series: &[Series]) -> Result<(), Problem> {
        let new: Vec<&str> =
            series.iter().map(|series| &series.name[..]).filter(|name| !self.names.contains_key(*name)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut conn = self.db.read().await?;
        for part in new.chunks(NAMES) {
            // As the tables write it.
            let id_of = |name: &str| name.parse::<MachineId>().ok().map(MachineId::text);
            let ids: Vec<String> = part.iter().filter_map(|name| id_of(name)).collect();
            let by_id = store::targets(&mut conn, &ids).await?;
            let by_name = store::named(&mut conn, part).await?;
            for name in part {
                let id = id_of(name);
                let mut found = by_id.iter().filter(|subject| Some(&subject.id) == id.as_ref());
                let mut called = by_name.iter().filter(|(called, _)| called == name).map(|(_, subject)| subject);
                let known = match (found.next(), called.next(), called.next()) {
                    (Some(subject), _, _) | (None, Some(subject), None) => Known::Target(subject.clone()),
                    (None, Some(_), Some(_)) => Known::Several,
                    (None, None, _) => Known::Nobody,
                };
                if !matches!(known, Known::Target(_)) && self.all.strangers.len() < STRANGERS {
                    self.all.strangers.push((*name).to_owned());
                }
                self.names.insert((*name).to_owned(), known);
            }
        }
        Ok(())
    }

    fn ended(mut self) -> Imported {
        let found = self.names.into_values();
        let subjects: HashSet<String> = found
            .filter_map(|known| if let Known::Target(subject) = known { Some(subject.id) } else { None })
            .collect();
        self.all.subjects = subjects.len() as u64;
        self.all.points = self.tally.points;
        self.all
    }

    fn broke(&self, broke: &Broke) -> Problem {
        let (kind, code, what) = match broke {
            Broke::CutShort => (Kind::Malformed, "upload_cut_short", "文件没有传完".to_owned()),
            Broke::Inflate(Inflate::Broken(_)) => {
                (Kind::Refused, "gzip_broken", "gzip 文件已损坏或不完整，请重新压缩或取得完整的文件".to_owned())
            }
            Broke::Inflate(Inflate::Bomb) => {
                (Kind::TooLarge, "gzip_bomb", "gzip 文件解压后大得不像用量记录，请解压后直接导入".to_owned())
            }
            Broke::Endless(Endless(line)) => {
                (Kind::Refused, "line_endless", format!("第 {line} 行没有行尾，请核对文件是不是 CSV"))
            }
        };
        Problem::new(kind, code, format!("{what}；{}", self.so_far()))
    }

    fn unwritten(&self, error: DbError) -> Problem {
        let mut problem = Problem::from(error);
        problem.detail = format!("{}；{}", problem.detail, self.so_far());
        problem
    }

    fn so_far(&self) -> String {
        match self.through {
            0 => "没有写入任何内容".to_owned(),
            line => format!("第 {line} 行及以前的已经写入，重新导入整个文件即可，不会重复计入"),
        }
    }
}

/// Takes the header off the first piece.
fn header(piece: &mut Piece) -> Result<Columns, Problem> {
    let end = memchr::memchr(b'\n', &piece.text);
    let line = piece.text.get(..end.unwrap_or(piece.text.len())).unwrap_or_default();
    let columns = Columns::read(line).map_err(|faults| refused_header(&faults))?;
    piece.text.drain(..end.map_or(piece.text.len(), |end| end + 1));
    piece.line += 1;
    piece.ends = piece.ends.saturating_sub(1);
    Ok(columns)
}

fn refused_header(faults: &[HeaderFault]) -> Problem {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Problem::new(
        Kind::Refused,
        "csv_header_refused",
        format!("表头不符合要求：{}；没有写入任何内容", faults.join("；")),
    )
}
