//! How the program ends.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A balancer needs this long to see that `/readyz` says 503 and to send no more requests.
pub const GRACE: Duration = Duration::from_secs(5);

/// The two stages of the end.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Nothing new is begun, but requests are still answered.
    pub draining: CancellationToken,
    /// Nothing more is accepted.
    pub closing: CancellationToken,
}

impl Shutdown {
    /// Follows the signals of the system: SIGTERM begins the first stage and, after `grace`, the
    /// second; SIGINT, which a human sends, begins both at once. A second signal of either kind
    /// ends the program on the spot.
    ///
    /// # Errors
    /// The signals cannot be listened to.
    pub fn on_signals(grace: Duration) -> std::io::Result<Self> {
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let shutdown = Self::default();
        let stages = shutdown.clone();
        tokio::spawn(async move {
            let grace = tokio::select! {
                _ = terminate.recv() => grace,
                _ = interrupt.recv() => Duration::ZERO,
            };
            tracing::info!("stopping; a second signal ends at once");
            stages.draining.cancel();
            tokio::select! {
                () = tokio::time::sleep(grace) => stages.closing.cancel(),
                () = second(&mut terminate, &mut interrupt) => {}
            }
            second(&mut terminate, &mut interrupt).await;
        });
        Ok(shutdown)
    }
}

async fn second(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::warn!("ended by a second signal");
    // What is unfinished is seen by the next start as an open lease.
    std::process::exit(1);
}
