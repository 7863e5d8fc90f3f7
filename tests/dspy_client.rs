//! DSPy's own client against a provider on this machine: answers, errors, time limits, and what happens to the key.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::provider::{Behaviour, KEY, Provider};
use common::{assert_serves, on_both_carriers, start_without_lm};
use dspex::prelude::*;
use tokio::net::TcpListener;

/// Answer the question.
#[dspy_module("dspy.Predict")]
struct Ask {
    #[input]
    question: String,
    #[output]
    answer: i64,
}

fn question() -> AskInputs {
    AskInputs { question: "What is 6 times 7?".into() }
}

async fn ask(dspex: &Dspex, lm: Lm) -> dspex::Result<i64> {
    let session = dspex.sessions().temporary(SessionConfig::new().lm(lm));
    Ask::call(&session, question()).await.map(|out| out.answer)
}

fn assert_hides_the_key(error: &Error) {
    assert!(!format!("{error} {error:?}").contains("canary"), "the key is in the error: {error:?}");
}

on_both_carriers! {
    async fn an_answer_comes_with_its_usage_and_the_key_goes_only_to_the_provider(carrier: Carrier) {
        let provider = Provider::start(Behaviour::Answer).await;
        let dspex = start_without_lm(carrier).await;
        let lm = provider.lm();
        assert!(!format!("{lm:?}").contains("canary"));
        let session = dspex.sessions().temporary(SessionConfig::new().lm(lm));
        let ask = Ask::create(&session).await.unwrap();
        let prediction = ask.run(question()).await.unwrap();
        assert_eq!((prediction.answer, prediction.usage().total_tokens()), (42, 14));
        let heads = provider.heads.lock().unwrap().clone();
        assert_eq!(heads.len(), 1);
        assert!(heads[0].contains(KEY), "the provider got the key");
    }

    async fn two_tenants_with_the_same_model_never_share_a_key(carrier: Carrier) {
        let provider = Provider::start(Behaviour::Answer).await;
        let dspex = start_without_lm(carrier).await;
        for key in ["tenant-one", "tenant-two", "tenant-one"] {
            ask(&dspex, provider.lm().api_key(key)).await.unwrap();
        }
        let heads = provider.heads.lock().unwrap().clone();
        let keys: Vec<_> = heads.iter().map(|head| head.contains("tenant-one")).collect();
        assert_eq!(keys, [true, false, true]);
    }

    async fn a_rate_limit_is_typed_and_says_when_to_try_again(carrier: Carrier) {
        let provider = Provider::start(Behaviour::RateLimit).await;
        let dspex = start_without_lm(carrier).await;
        let error = ask(&dspex, provider.lm()).await.unwrap_err();
        let Error::Lm(LmError::RateLimit(details)) = &error else { panic!("{error:?}") };
        assert_eq!((details.status, details.retry_after), (Some(429), Some(Duration::from_secs(7))));
        assert_hides_the_key(&error);
        assert_serves(&dspex).await;
    }

    async fn a_refused_key_and_a_failing_provider_are_told_apart(carrier: Carrier) {
        let dspex = start_without_lm(carrier).await;
        let provider = Provider::start(Behaviour::RefuseKey).await;
        let error = ask(&dspex, provider.lm()).await.unwrap_err();
        assert!(matches!(error, Error::Lm(LmError::Auth(_))), "{error:?}");
        assert_hides_the_key(&error);
        let provider = Provider::start(Behaviour::Fail).await;
        let error = ask(&dspex, provider.lm()).await.unwrap_err();
        assert!(matches!(error, Error::Lm(LmError::Server(_))), "{error:?}");
        assert!(error.is_retryable());
        assert_serves(&dspex).await;
    }

    async fn a_provider_that_hangs_meets_the_models_own_time_limit(carrier: Carrier) {
        let provider = Provider::start(Behaviour::Hang).await;
        let dspex = start_without_lm(carrier).await;
        let error = ask(&dspex, provider.lm().timeout(Duration::from_millis(300))).await.unwrap_err();
        assert!(matches!(error, Error::Lm(LmError::Timeout(_) | LmError::Transport(_))), "{error:?}");
        assert_serves(&dspex).await;
    }

    async fn a_provider_that_nobody_runs_is_a_transport_error(carrier: Carrier) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = format!("http://{}/v1", listener.local_addr().unwrap());
        drop(listener);
        let dspex = start_without_lm(carrier).await;
        let lm = Lm::new("openai/gpt-4o-mini").api_base(closed).api_key(KEY).num_retries(0);
        let error = ask(&dspex, lm).await.unwrap_err();
        assert!(matches!(error, Error::Lm(LmError::Transport(_))), "{error:?}");
        assert_hides_the_key(&error);
        assert_serves(&dspex).await;
    }
}
