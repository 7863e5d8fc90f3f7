//! A graceful end when the system asks for one.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Dspex;

/// What asked the program to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShutdownSignal {
    /// SIGTERM: a service manager, a container's runtime, `kill`.
    Terminate,
    /// SIGINT: Ctrl-C at the terminal.
    Interrupt,
}

impl ShutdownSignal {
    /// The exit code by which shells and service managers tell such an end: 128 and the signal's number.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Terminate => 143,
            Self::Interrupt => 130,
        }
    }
}

impl Dspex {
    /// Waits for SIGTERM or Ctrl-C, then [shuts down](Dspex::shutdown) with this patience; a second signal ends the
    /// patience. Completes when every Python process was ended, with what asked for it.
    ///
    /// From this call on, even before the future runs, these signals no longer end the program by themselves: let `main` end when the
    /// future has. It runs beside the program, since it never completes without a signal:
    ///
    /// ```no_run
    /// # async fn serve(_: &dspex_runtime::Dspex) {}
    /// # async fn run(dspex: dspex_runtime::Dspex) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let ended = dspex.shutdown_on_signals(Duration::from_secs(20))?;
    /// tokio::select! {
    ///     () = serve(&dspex) => {}
    ///     signal = ended => std::process::exit(signal.exit_code().into()),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// In that `select!`, what `serve` does is dropped when the future completes, which is after its calls have ended; to let it write
    /// its answers, spawn the future and have `serve` end by its own means.
    ///
    /// # Errors
    ///
    /// Where the system does not let the program listen to signals.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with its I/O enabled.
    pub fn shutdown_on_signals(
        &self,
        patience: Duration,
    ) -> std::io::Result<impl Future<Output = ShutdownSignal> + Send + 'static> {
        let mut signals = Signals::listen()?;
        let dspex = self.clone();
        Ok(async move {
            let first = signals.next().await;
            tracing::info!(target: "dspex::pool", signal = ?first, ?patience, "the program is asked to end");
            tokio::select! {
                () = dspex.shutdown(patience) => {}
                () = async {
                    let again = signals.next().await;
                    tracing::info!(target: "dspex::pool", signal = ?again, "asked again: calls that run are cancelled");
                    dspex.shutdown(Duration::ZERO).await;
                } => {}
            }
            first
        })
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> ShutdownSignal {
        tokio::select! {
            _ = self.terminate.recv() => ShutdownSignal::Terminate,
            _ = self.interrupt.recv() => ShutdownSignal::Interrupt,
        }
    }
}
