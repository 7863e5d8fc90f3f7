//! What Python asks of the host within a call.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use dspex_state::Variables;
use futures::FutureExt;

use super::breakers::Breakers;
use super::{HostFunctions, errors, variables};
use crate::lm::{Lm, LmRequest};
use crate::panics::panic_text;
use crate::pool::transport::CallSender;
use crate::proto::callback::Kind;
use crate::proto::{self, Callback, CallbackReply, Payload, callback_reply, up};
use crate::telemetry::CallbackWatch;

/// What a call's callbacks can reach.
#[derive(Clone)]
pub(crate) struct Reach {
    pub(crate) lm: Option<Lm>,
    pub(crate) variables: Option<Variables>,
    pub(crate) host: Option<Arc<dyn HostFunctions>>,
    pub(crate) breakers: Arc<Breakers>,
}

/// Serves one callback and answers it. Dropping the future abandons the host function.
pub(crate) async fn serve(callback: Callback, reach: Reach, reply_to: CallSender, watch: CallbackWatch) {
    let id = callback.id;
    let what = format!("{:?} `{}`", callback.kind(), callback.name);
    // A host function that panics fails its callback; it must not take the call or the host with it.
    let result = match AssertUnwindSafe(dispatch(callback, reach)).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => {
            let text = panic_text(panic.as_ref());
            tracing::error!(target: "dspex::bridge", callback = %what, panic = %text, "a host function panicked");
            // The text may hold what nobody outside should see, and a model may be shown what Python raises.
            Err(errors::callback_failure(
                "a function of the host panicked; the host's log says more".to_owned(),
            ))
        }
    };
    if result.is_err() {
        watch.failed();
    }
    // It ends before Python goes on, so that it is over for whoever sees the call's end.
    drop(watch);
    let result = match result {
        Ok(payload) => callback_reply::Result::Ok(payload),
        Err(error) => callback_reply::Result::Error(error),
    };
    let reply = CallbackReply { id, result: Some(result) };
    reply_to.room().await;
    if let Err(error) = reply_to.send(up::Kind::CallbackReply(reply)) {
        let failure = errors::unsendable(&error);
        let result = Some(callback_reply::Result::Error(failure));
        let _ = reply_to.send(up::Kind::CallbackReply(CallbackReply { id, result }));
    }
}

async fn dispatch(callback: Callback, reach: Reach) -> Result<Payload, proto::Error> {
    match callback.kind() {
        Kind::Lm => {
            let json = complete(callback, reach.lm, &reach.breakers).await?;
            Ok(Payload { json, attachments: Vec::new() })
        }
        Kind::Variable => {
            variables::serve(callback.name, callback.payload.unwrap_or_default(), reach.variables).await
        }
        Kind::Unspecified => Err(errors::callback_failure("the callback has no kind".to_owned())),
        kind @ (Kind::Tool | Kind::Metric | Kind::Reward | Kind::Retriever) => match reach.host {
            Some(host) => host.call(kind, callback.name, callback.payload.unwrap_or_default()).await,
            None => Err(errors::no_function(&callback.name)),
        },
    }
}

async fn complete(
    callback: Callback,
    lm: Option<Lm>,
    breakers: &Arc<Breakers>,
) -> Result<Bytes, proto::Error> {
    let lm = lm.filter(|lm| lm.spec().hash == callback.name);
    let Some((lm, model)) = lm.as_ref().and_then(|lm| Some((lm, lm.host_model()?))) else {
        return Err(errors::callback_failure("the call has no host model of that address".to_owned()));
    };
    let payload = callback.payload.unwrap_or_default();
    let request = LmRequest::decode(&payload.json)
        .map_err(|error| errors::callback_failure(format!("DSPy's request could not be read: {error}")))?;
    let asked = match breakers.admit(lm) {
        Ok(asked) => asked,
        Err(refusal) => return Err(errors::lm_to_wire(&refusal.lm_error())),
    };
    let response = model.complete_erased(request).await;
    if let Some(asked) = asked {
        asked.answered(&response);
    }
    response
        .and_then(|response| response.encode(lm.model()))
        .map(Bytes::from)
        .map_err(|error| errors::lm_to_wire(&error))
}
