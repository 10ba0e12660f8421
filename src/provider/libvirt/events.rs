//! A host's events: that something happened to some domain, or that the line was lost. Which and what is not looked at.
//! Events get lost with every connection, so they only hasten the next listing, and the listing alone is believed.

#![expect(unsafe_code, reason = "the bindings have no safe way to hear events")]

use super::{fault::Fault, link::Link};
use std::{
    ffi::{c_int, c_void},
    sync::Arc,
};
use tokio::sync::Notify;
use virt::{connect::Connect, error::Error, sys};

/// A connection on which events are heard.
#[derive(Debug)]
pub struct Listener {
    link: Link,
    callback: c_int,
}

impl Listener {
    /// From now on each event is told to `heard`, and the loss of the connection is as well.
    pub fn on(link: Link, heard: &Arc<Notify>) -> Result<Self, Fault> {
        let Some(connect) = link.connect() else { return Err(Fault::Lost(None)) };
        let callback = listen(connect, heard)?;
        Ok(Self { link, callback })
    }

    /// Asks the local end only.
    pub fn alive(&self) -> bool {
        self.link.alive()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let callback = self.callback;
        // A callback holds its connection open, so it goes first; and saying so to the host may block.
        self.link.close_after(move |connect| {
            let connect = connect.as_ptr();
            // SAFETY: the connection is open until the closing that follows, and the number is of a callback on it. Both
            // calls only have libvirt forget a callback; it frees what belongs to it by itself.
            unsafe {
                sys::virConnectDomainEventDeregisterAny(connect, callback);
                sys::virConnectUnregisterCloseCallback(connect, Some(on_close));
            }
        });
    }
}

fn listen(connect: &Connect, heard: &Arc<Notify>) -> Result<c_int, Error> {
    let connect = connect.as_ptr();
    // SAFETY: libvirt hands the callback back as the type it was given it for, which for lifecycle events is this one: the
    // generic type stands for all of them (the C macro VIR_DOMAIN_EVENT_CALLBACK is this cast).
    let generic = unsafe {
        std::mem::transmute::<sys::virConnectDomainEventCallback, sys::virConnectDomainEventGenericCallback>(Some(
            on_event,
        ))
    };
    let event = c_int::try_from(sys::VIR_DOMAIN_EVENT_ID_LIFECYCLE).unwrap_or_default();
    let told = Arc::into_raw(Arc::clone(heard)).cast_mut().cast::<c_void>();
    // SAFETY: the connection is open; no domain means all of them; `told` is one reference, which libvirt gives back to
    // `forget` exactly once when it has accepted it.
    let callback = unsafe {
        sys::virConnectDomainEventRegisterAny(connect, std::ptr::null_mut(), event, generic, told, Some(forget))
    };
    if callback < 0 {
        let error = Error::last_error();
        // SAFETY: it was not accepted, so the reference is still ours.
        unsafe { forget(told) };
        return Err(error);
    }
    let told = Arc::into_raw(Arc::clone(heard)).cast_mut().cast::<c_void>();
    // SAFETY: as above.
    let registered = unsafe { sys::virConnectRegisterCloseCallback(connect, Some(on_close), told, Some(forget)) };
    if registered < 0 {
        let error = Error::last_error();
        // SAFETY: the one was accepted and is taken back by its number, the other was not and is still ours.
        unsafe {
            sys::virConnectDomainEventDeregisterAny(connect, callback);
            forget(told);
        }
        return Err(error);
    }
    Ok(callback)
}

/// Called on the thread of the event loop, which must not be held up.
extern "C" fn on_event(_: sys::virConnectPtr, _: sys::virDomainPtr, _: c_int, _: c_int, heard: *mut c_void) -> c_int {
    tell(heard);
    0
}

extern "C" fn on_close(_: sys::virConnectPtr, _: c_int, heard: *mut c_void) {
    tell(heard);
}

fn tell(heard: *mut c_void) {
    // SAFETY: it is the reference made in `listen`, which lives until `forget`, and libvirt calls neither after that.
    let heard = unsafe { &*heard.cast::<Notify>() };
    // Remembered, if nobody is waiting just now.
    heard.notify_one();
}

unsafe extern "C" fn forget(heard: *mut c_void) {
    // SAFETY: the caller hands back one reference made by `Arc::into_raw`, once.
    drop(unsafe { Arc::from_raw(heard.cast_const().cast::<Notify>()) });
}
