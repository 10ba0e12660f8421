//! The messages, and what their answers mean. Pure.

use super::{Entry, Fault, KeyFault, Silence, Zone};
use hickory_proto::{
    op::{Message, OpCode, Query, ResponseCode},
    rr::{
        DNSClass, Name, RData, Record, RecordType,
        rdata::{A, TXT, tsig::TsigError},
    },
};

/// Before it is signed.
pub type Unsigned = Message;

/// What makes a name lead somewhere, or belong to another zone. A name that has one of these is somebody's. Others (MX,
/// TXT) may stand beside our address and are left alone.
const LEADING: [RecordType; 5] =
    [RecordType::A, RecordType::AAAA, RecordType::CNAME, RecordType::NS, RecordType::DNAME];
/// A TXT record's text, and any text that a DNS server says, is shown up to here.
const SHOWN: usize = 120;

fn name(text: &str) -> Result<Name, Fault> {
    let mut name = Name::from_ascii(text).map_err(|error| Fault::Refused(format!("{text}: {error}")))?;
    name.set_fqdn(true);
    Ok(name)
}

/// Where the mark of a name stands.
fn mark_name(entry: &Entry) -> Result<Name, Fault> {
    name(&format!("_jiyue.{}", entry.fqdn))
}

/// A message under way: the zone's, with prerequisites and changes to come.
struct Update {
    message: Message,
    name: Name,
    mark_name: Name,
    ttl: u32,
    address: RData,
    mark: RData,
}

impl Update {
    fn new(zone: &Zone, entry: &Entry) -> Result<Self, Fault> {
        let mut message = Message::query();
        message.metadata.op_code = OpCode::Update;
        message.metadata.recursion_desired = false;
        message.add_query(Query::query(name(&zone.suffix)?, RecordType::SOA));
        Ok(Self {
            message,
            name: name(&entry.fqdn)?,
            mark_name: mark_name(entry)?,
            ttl: zone.ttl,
            address: RData::A(A(entry.address)),
            mark: RData::TXT(TXT::new(vec![entry.mark()])),
        })
    }

    /// Only if there is no such record there.
    fn if_none(mut self, at: fn(&Self) -> &Name, kind: RecordType) -> Self {
        let mut record = Record::update0(at(&self).clone(), 0, kind);
        record.dns_class = DNSClass::NONE;
        self.message.add_answer(record);
        self
    }

    fn if_free(self) -> Self {
        LEADING.into_iter().fold(self, |update, kind| update.if_none(|it| &it.name, kind))
    }

    fn if_unmarked(self) -> Self {
        self.if_none(|it| &it.mark_name, RecordType::TXT)
    }

    /// Only if the records of this kind are exactly this one.
    fn if_exactly(mut self, at: fn(&Self) -> &Name, data: fn(&Self) -> &RData) -> Self {
        let record = Record::from_rdata(at(&self).clone(), 0, data(&self).clone());
        self.message.add_answer(record);
        self
    }

    fn if_marked(self) -> Self {
        self.if_exactly(|it| &it.mark_name, |it| &it.mark)
    }

    fn add(mut self, at: fn(&Self) -> &Name, data: fn(&Self) -> &RData) -> Self {
        let record = Record::from_rdata(at(&self).clone(), self.ttl, data(&self).clone());
        self.message.add_authority(record);
        self
    }

    /// Deletes this record alone, whatever else there is of its kind.
    fn delete(mut self, at: fn(&Self) -> &Name, data: fn(&Self) -> &RData) -> Self {
        let mut record = Record::from_rdata(at(&self).clone(), 0, data(&self).clone());
        record.dns_class = DNSClass::NONE;
        self.message.add_authority(record);
        self
    }
}

/// Takes a name that is nobody's.
pub fn claim(zone: &Zone, entry: &Entry) -> Result<Unsigned, Fault> {
    let update = Update::new(zone, entry)?.if_free().if_unmarked();
    Ok(update.add(|it| &it.name, |it| &it.address).add(|it| &it.mark_name, |it| &it.mark).message)
}

/// Changes nothing; succeeds where the entry stands.
pub fn confirm(zone: &Zone, entry: &Entry) -> Result<Unsigned, Fault> {
    Ok(Update::new(zone, entry)?.if_marked().if_exactly(|it| &it.name, |it| &it.address).message)
}

/// Puts the address back beside our mark, where somebody has taken it away.
pub fn mend(zone: &Zone, entry: &Entry) -> Result<Unsigned, Fault> {
    Ok(Update::new(zone, entry)?.if_marked().if_free().add(|it| &it.name, |it| &it.address).message)
}

/// Removes the entry where exactly its mark stands.
pub fn withdraw(zone: &Zone, entry: &Entry) -> Result<Unsigned, Fault> {
    let update = Update::new(zone, entry)?.if_marked();
    Ok(update.delete(|it| &it.name, |it| &it.address).delete(|it| &it.mark_name, |it| &it.mark).message)
}

/// Changes nothing; succeeds where no mark stands: the proof that ours has gone.
pub fn is_unmarked(zone: &Zone, entry: &Entry) -> Result<Unsigned, Fault> {
    Ok(Update::new(zone, entry)?.if_unmarked().message)
}

/// The name, below the zone, that nobody has.
pub const PROBE: &str = "_jiyue-doctor";

/// An update that changes nothing, for as long as nothing stands at a name that is nobody's.
pub fn nothing(zone: &Zone) -> Result<Unsigned, Fault> {
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(name(&zone.suffix)?, RecordType::SOA));
    let mut record = Record::update0(name(&format!("{PROBE}.{}", zone.suffix))?, 0, RecordType::ANY);
    record.dns_class = DNSClass::NONE;
    message.add_answer(record);
    Ok(message)
}

/// Who keeps the zone?
pub fn soa(zone: &Zone) -> Result<Unsigned, Fault> {
    let mut message = Message::query();
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(name(&zone.suffix)?, RecordType::SOA));
    Ok(message)
}

/// What stands at the name and at its mark?
pub fn questions(entry: &Entry) -> Result<Vec<Unsigned>, Fault> {
    let (name, mark) = (name(&entry.fqdn)?, mark_name(entry)?);
    let question = |name: &Name, kind| {
        let mut message = Message::query();
        message.metadata.recursion_desired = false;
        message.add_query(Query::query(name.clone(), kind));
        message
    };
    let mut questions: Vec<_> = LEADING.into_iter().map(|kind| question(&name, kind)).collect();
    questions.push(question(&mark, RecordType::TXT));
    Ok(questions)
}

/// What an answer says about an update whose signature is in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Done,
    /// A prerequisite does not hold; nothing was changed.
    NotSo,
}

/// An answer, and whether it is signed by our key.
#[derive(Debug)]
pub struct Answer {
    pub message: Message,
    pub signed: bool,
}

impl Answer {
    /// The answer to an update. What says "done" or "not so" is believed only when it is signed.
    pub fn code(&self) -> Result<Code, Fault> {
        let metadata = &self.message.metadata;
        let tsig = self.message.signature.as_ref().and_then(|record| record.data.error.as_ref());
        match tsig {
            Some(TsigError::BadKey) => return Err(Fault::WrongKey(KeyFault::Unknown)),
            Some(TsigError::BadSig | TsigError::BadTrunc) => return Err(Fault::WrongKey(KeyFault::Signature)),
            Some(TsigError::BadTime) => return Err(Fault::WrongKey(KeyFault::Clock)),
            Some(TsigError::Unknown(_)) | None => {}
        }
        match metadata.response_code {
            ResponseCode::ServFail => Err(Fault::Silent(Silence::ServerFault)),
            _ if self.signed => match metadata.response_code {
                ResponseCode::NoError => Ok(Code::Done),
                ResponseCode::YXDomain | ResponseCode::YXRRSet | ResponseCode::NXDomain | ResponseCode::NXRRSet => {
                    Ok(Code::NotSo)
                }
                code => Err(Fault::Refused(word(code))),
            },
            code @ (ResponseCode::Refused
            | ResponseCode::NotAuth
            | ResponseCode::NotZone
            | ResponseCode::NotImp
            | ResponseCode::FormErr) => Err(Fault::Refused(word(code))),
            _ => Err(Fault::WrongKey(KeyFault::Answer)),
        }
    }

    /// The records of an answer to a question, as `A 192.0.2.9`. Text that anybody may have written is made harmless.
    pub fn told(&self) -> Result<Vec<String>, Fault> {
        let code = self.message.metadata.response_code;
        if !self.signed {
            return Err(Fault::WrongKey(KeyFault::Answer));
        }
        if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
            return Err(Fault::Refused(word(code)));
        }
        let asked = |name: &Name| self.message.queries.first().is_some_and(|question| question.name() == name);
        // A delegation stands in the authority section.
        let records = self.message.answers.iter().chain(&self.message.authorities);
        let told = records.filter(|record| asked(&record.name)).map(|record| {
            let text = format!("{} {}", record.record_type(), record.data);
            let harmless = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
            text.chars().take(SHOWN).map(harmless).collect()
        });
        Ok(told.collect())
    }
}

/// As RFC 2136 calls it.
fn word(code: ResponseCode) -> String {
    match code {
        ResponseCode::Refused => "REFUSED".to_owned(),
        ResponseCode::NotAuth => "NOTAUTH".to_owned(),
        ResponseCode::NotZone => "NOTZONE".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        other => format!("RCODE {}", u16::from(other)),
    }
}
