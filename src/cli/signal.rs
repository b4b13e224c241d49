//! SIGTERM and SIGINT: the first ends the run after its current commit, the second at once.

use tokio::signal::unix::{SignalKind, signal};
use trailhound::ingest::Stop;

/// Starts to listen.
pub fn stop_on_signal() -> Stop {
    let stop = Stop::default();
    let asked = stop.clone();
    tokio::spawn(async move {
        let (Ok(mut term), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return;
        };
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
            if asked.is_requested() {
                // what is committed stays, and the next run goes on from there
                std::process::exit(130);
            }
            tracing::info!("stopping after the current commit; once more stops at once");
            asked.request();
        }
    });
    stop
}
