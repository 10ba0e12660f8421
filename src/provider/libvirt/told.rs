//! What libvirt tells as lists of named values: counters of domains, and what a guest's agent says.

#![expect(unsafe_code, reason = "the bindings leak the records of statistics and know nothing of guest information")]

use std::{collections::HashMap, ffi::CStr, ptr, slice};
use uuid::Uuid;
use virt::{connect::Connect, domain::Domain, error::Error, sys};

/// Bytes of a text that are looked at; a guest may send megabytes.
const TEXT_LIMIT: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Number(u64),
    Text(String),
}

/// Values by name. Names are libvirt's own; texts may be a guest's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told(HashMap<String, Value>);

impl Told {
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.0.get(name) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}

impl FromIterator<(String, Value)> for Told {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// What is told of one running domain.
pub struct Record {
    pub domain: Uuid,
    /// The domain's number: another one after each start.
    pub run: u32,
    pub told: Told,
}

/// The counters of all domains that run, in one call. A domain that is busy with a job, whose QEMU cannot be asked now, is
/// told in part and holds up nobody.
pub fn statistics(connect: &Connect) -> Result<Vec<Record>, Error> {
    let groups = sys::VIR_DOMAIN_STATS_CPU_TOTAL
        | sys::VIR_DOMAIN_STATS_VCPU
        | sys::VIR_DOMAIN_STATS_BALLOON
        | sys::VIR_DOMAIN_STATS_INTERFACE
        | sys::VIR_DOMAIN_STATS_BLOCK;
    let flags = sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING | sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT;
    let mut list: *mut sys::virDomainStatsRecordPtr = ptr::null_mut();
    // SAFETY: the connection is open, and `list` is where libvirt puts a list that is then ours.
    let count = unsafe { sys::virConnectGetAllDomainStats(connect.as_ptr(), groups, &raw mut list, flags) };
    let Ok(count) = usize::try_from(count) else { return Err(Error::last_error()) };
    let mut records = Vec::with_capacity(count);
    if !list.is_null() {
        // SAFETY: the list has `count` records, each of them whole, until it is freed below.
        records.extend(unsafe { slice::from_raw_parts(list, count) }.iter().filter_map(|one| unsafe { record(*one) }));
        // SAFETY: it is ours, and nothing made from it points into it.
        unsafe { sys::virDomainStatsRecordListFree(list) };
    }
    Ok(records)
}

/// # Safety
///
/// A record of libvirt's that has not been freed.
unsafe fn record(record: sys::virDomainStatsRecordPtr) -> Option<Record> {
    let mut uuid = [0; 16];
    // SAFETY: the caller's promise; the domain in a record lives as long as the record, and a UUID has 16 bytes.
    unsafe {
        let record = record.as_ref()?;
        let known = sys::virDomainGetUUID(record.dom, uuid.as_mut_ptr()) == 0;
        let run = sys::virDomainGetID(record.dom);
        // The highest number is libvirt's way of saying that it does not run.
        (known && run != u32::MAX).then(|| Record {
            domain: Uuid::from_bytes(uuid),
            run,
            told: told(record.params, record.nparams),
        })
    }
}

/// Who is logged in, the file systems and the addresses, as the guest's agent says, which is given so many seconds for each
/// of its answers: by itself libvirt would wait for ever for an agent that greets and then falls silent.
pub fn guest(domain: &Domain, patience: i32) -> Result<Told, Error> {
    let types = sys::VIR_DOMAIN_GUEST_INFO_USERS
        | sys::VIR_DOMAIN_GUEST_INFO_FILESYSTEM
        | sys::VIR_DOMAIN_GUEST_INFO_INTERFACES;
    let (mut params, mut count) = (ptr::null_mut(), 0);
    // SAFETY: the domain is alive for as long as it is borrowed; `params` is where libvirt puts a list that is then ours.
    unsafe {
        if sys::virDomainAgentSetResponseTimeout(domain.as_ptr(), patience, 0) < 0
            || sys::virDomainGetGuestInfo(domain.as_ptr(), types, &raw mut params, &raw mut count, 0) < 0
        {
            return Err(Error::last_error());
        }
        let told = told(params, count);
        sys::virTypedParamsFree(params, count);
        Ok(told)
    }
}

/// # Safety
///
/// So many parameters of libvirt's that have not been freed.
unsafe fn told(params: sys::virTypedParameterPtr, count: i32) -> Told {
    let count = usize::try_from(count).unwrap_or_default();
    if params.is_null() {
        return Told::default();
    }
    // SAFETY: the caller's promise; libvirt ends each name and each text with a zero, and the type says which member of
    // the union was written.
    unsafe {
        let one = |param: &sys::virTypedParameter| {
            let value = match u32::try_from(param.type_).unwrap_or_default() {
                sys::VIR_TYPED_PARAM_INT => Value::Number(u64::try_from(param.value.i).ok()?),
                sys::VIR_TYPED_PARAM_UINT => Value::Number(param.value.ui.into()),
                sys::VIR_TYPED_PARAM_LLONG => Value::Number(u64::try_from(param.value.l).ok()?),
                sys::VIR_TYPED_PARAM_ULLONG => Value::Number(param.value.ul),
                sys::VIR_TYPED_PARAM_STRING if !param.value.s.is_null() => {
                    let bytes = CStr::from_ptr(param.value.s).to_bytes();
                    Value::Text(String::from_utf8_lossy(bytes.get(..TEXT_LIMIT).unwrap_or(bytes)).into_owned())
                }
                _ => return None,
            };
            Some((CStr::from_ptr(param.field.as_ptr()).to_str().ok()?.to_owned(), value))
        };
        slice::from_raw_parts(params, count).iter().filter_map(one).collect()
    }
}
