//! The status as text.

use std::fmt;

use super::{DspexStatus, ModelStatus, PoolState, PoolStatus, StoreStatus, WorkerState, WorkerStatus};
use crate::api::Availability;
use crate::pool::Load;

impl fmt::Display for PoolState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Ready => f.write_str("ready"),
            Self::Degraded { causes } => write!(f, "degraded: {}", causes.join("; ")),
            Self::Down { cause } => write!(f, "down: {cause}"),
            Self::ShuttingDown => f.write_str("shutting down"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl fmt::Display for WorkerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting",
            Self::BackingOff => "backing off",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Renewing => "ready, its replacement starts",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        })
    }
}

impl fmt::Display for DspexStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "dspex {}, up for {} s", self.version, self.uptime.as_secs())?;
        self.pools.iter().try_for_each(|pool| pool.fmt(f))?;
        writeln!(f, "sessions: {} open, {} calls", self.open_sessions, self.session_calls)?;
        for ModelStatus { model, calls, failed, breaker } in &self.models {
            writeln!(f, "model {model}: {calls} calls, {failed} failed, breaker {breaker}")?;
        }
        match &self.store {
            Some(StoreStatus { sessions, variables, bytes, instances, .. }) => {
                writeln!(
                    f,
                    "store: {sessions} sessions, {variables} variables ({bytes} bytes), {instances} instances"
                )
            }
            None => writeln!(f, "store: no answer"),
        }
    }
}

impl fmt::Display for PoolStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Load { in_flight, capacity, queued, queue_limit, .. } = self.load;
        writeln!(f, "pool {}: {}", self.name, self.state)?;
        if let Some(Availability { dspy, python, .. }) = &self.runs {
            writeln!(f, "  DSPy {dspy}, Python {python}")?;
        }
        writeln!(f, "  {in_flight} of {capacity} places taken, {queued} of {queue_limit} in the queue")?;
        self.workers.iter().try_for_each(|worker| worker.fmt(f))
    }
}

impl fmt::Display for WorkerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  worker {}.{} {}", self.index, self.generation, self.state)?;
        if self.suspected {
            f.write_str(", gives no sign of life")?;
        }
        match (self.pid, &self.endpoint) {
            (_, Some(endpoint)) => write!(f, ", at {endpoint}")?,
            (Some(pid), None) => write!(f, ", process {pid}")?,
            (None, None) => {}
        }
        if let Some(ready) = self.ready_for {
            write!(f, " for {} s, {} calls, {} now", ready.as_secs(), self.calls, self.in_flight)?;
        }
        if let Some(bytes) = self.pss_bytes.or(self.rss_bytes) {
            write!(f, ", {} MiB", bytes >> 20)?;
        }
        if let Some(lag) = self.loop_lag {
            write!(f, ", loop late by {} ms", lag.as_millis())?;
        }
        if let Some(end) = &self.last_end {
            write!(
                f,
                "; {} restarts, {} recycled, the one before: {}",
                self.restarts, self.recycled, end.text
            )?;
        }
        f.write_str("\n")
    }
}
