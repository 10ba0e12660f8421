//! A request's body that has to keep coming. Only time spent waiting for the client counts, so a slow disk of ours cuts
//! nobody, and neither does size: an image of many GiB passes as long as it moves.

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// So much has to come in each stretch of waiting; a byte now and then keeps nothing open.
const PIECE: usize = 16 << 10;

/// The client has sent too little for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body stopped coming")]
pub struct TooSlow;

pub struct Paced {
    body: Body,
    stall: Duration,
    /// What is left of the wait for the next piece.
    left: Duration,
    /// What has come of it.
    came: usize,
    /// Since when we wait, and until when.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Paced {
    pub const fn new(body: Body, stall: Duration) -> Self {
        Self { body, stall, left: stall, came: 0, waiting: None }
    }
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            let (now, left) = (Instant::now(), this.left);
            let (_, until) = this.waiting.get_or_insert_with(|| (now, Box::pin(sleep_until(now + left))));
            ready!(until.as_mut().poll(cx));
            tracing::info!("http.body.too_slow");
            return Poll::Ready(Some(Err(axum::Error::new(TooSlow))));
        };
        if let Some((since, _)) = this.waiting.take() {
            this.left = this.left.saturating_sub(since.elapsed());
        }
        if let Some(Ok(frame)) = &frame {
            this.came += frame.data_ref().map_or(0, Bytes::len);
            if this.came >= PIECE {
                (this.left, this.came) = (this.stall, 0);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use tokio::time::{self, sleep};

    /// Sends so many pieces of such a length, with such a pause before each; how much came through.
    async fn sent(pieces: usize, length: usize, pause: Duration) -> Result<usize, String> {
        let stream = futures_util::stream::unfold(0, move |sent| async move {
            sleep(pause).await;
            (sent < pieces).then(|| (Ok::<_, std::io::Error>(Bytes::from(vec![0; length])), sent + 1))
        });
        let mut body = Body::new(Paced::new(Body::from_stream(stream), Duration::from_secs(30))).into_data_stream();
        let mut came = 0;
        while let Some(piece) = body.next().await {
            came += piece.map_err(|error| error.to_string())?.len();
            // A disk that is slower than any limit.
            sleep(Duration::from_secs(100)).await;
        }
        Ok(came)
    }

    #[tokio::test(start_paused = true)]
    async fn what_moves_passes_and_what_stands_still_is_cut() {
        let second = Duration::from_secs(1);
        assert_eq!(sent(1000, PIECE, 29 * second).await, Ok(1000 * PIECE));
        assert_eq!(sent(200, PIECE / 20, second).await, Ok(200 * (PIECE / 20)));
        assert_eq!(sent(3, 1, 7 * second).await, Ok(3), "a small body may take its time, once");
        let cut = TooSlow.to_string();
        assert_eq!(sent(1, PIECE, 31 * second).await, Err(cut.clone()));
        assert_eq!(sent(1000, 1, second).await, Err(cut.clone()), "a byte now and then");
        let began = time::Instant::now();
        assert_eq!(sent(1000, 1, Duration::MAX / 4).await, Err(cut));
        assert!(began.elapsed() < 31 * second);
    }
}
