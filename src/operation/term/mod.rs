//! A term: work that one broker at a time does for all of them (the Kubernetes controller), held by a lease with an epoch
//! as operations are. Whoever writes in it proves in the same transaction that the term is still its own.

pub mod store;

use crate::{
    db::{DbError, Tx},
    error::Problem,
};

/// A term that was once won. It ends when another broker wins the next one, whether or not this one has noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    pub work: &'static str,
    pub epoch: i64,
}

/// The code of what comes too late.
pub const OVER: &str = "term_over";

impl Term {
    /// Must stand before every write of the term, in its transaction. The row stays locked until the commit, so that nobody
    /// else's term begins in between.
    pub async fn hold(self, tx: &mut Tx) -> Result<(), Problem> {
        if store::hold(tx, self).await? {
            Ok(())
        } else {
            Err(Problem::conflict(OVER, "另一个 jiyue serve 已经接手"))
        }
    }

    /// The same for whoever may act without a term: a person.
    pub async fn hold_if(term: Option<Self>, tx: &mut Tx) -> Result<(), Problem> {
        match term {
            Some(term) => term.hold(tx).await,
            None => Ok(()),
        }
    }
}

/// Wins the next term of some work, if nobody holds it.
pub async fn win(tx: &mut Tx, work: &'static str, owner: &str, micros: i64) -> Result<Option<Term>, DbError> {
    Ok(store::take(tx, work, owner, micros).await?.map(|epoch| Term { work, epoch }))
}
