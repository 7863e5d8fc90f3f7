//! Tools of Python under the same roof as those of Rust.

use dspex::testing::ScriptedLm;
use dspex::tool::ToolErrorKind;
use dspex::{CallEvent, ToolLanguage};

use crate::common::{assert_serves, eventually, on_both_carriers, worker_pids};
use crate::*;

/// Adds numbers.
#[dspex_tool]
fn add(numbers: Vec<f64>) -> f64 {
    numbers.iter().sum()
}

/// How much postage is due, whatever Python says.
#[dspex_tool(name = "postage")]
fn other_postage() -> u32 {
    0
}

/// Counts up.
#[dspex_tool(stream)]
fn count_up(end: u32) -> impl futures::Stream<Item = u32> {
    futures::stream::iter(1..=end)
}

/// Never ends.
#[dspex_tool(stream)]
fn zeros() -> impl futures::Stream<Item = String> {
    futures::stream::repeat_with(|| "0".repeat(1000))
}

/// How many items the endless generator has made, once it makes no more for a while.
async fn settled(session: &Session) -> u64 {
    let mut before = None;
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let made = run(session, "made", json!({})).await.unwrap().as_u64().unwrap();
        if before.replace(made) == Some(made) || made > 100_000 {
            return made;
        }
    }
}

on_both_carriers! {
    async fn a_python_function_is_described_checked_and_run(carrier: Carrier) {
        let dspex = builder(carrier).start().await.unwrap();
        let session = dspex.session();
        let tools = session.tools();
        let registered = tools.register_python(&program("postage")).await.unwrap();
        let info = tools.info("postage").unwrap();
        assert_eq!(info.language, ToolLanguage::Python { path: program("postage") });
        assert_eq!(info.spec.description(), "The price of sending a parcel, in cents.");
        let names: Vec<_> = info.spec.parameters().iter().map(|each| (each.name(), each.is_required())).collect();
        assert_eq!(names, [("parcel", true), ("zone", false), ("stamps", false)]);

        let parcel = json!({"grams": 250, "express": true});
        let due = tools.execute("postage", json!({"parcel": parcel, "zone": "far", "stamps": [100, 25]})).await;
        assert_eq!(due.unwrap(), json!({"due": 1300}));
        let error = tools.execute("postage", json!({"zone": "there"})).await.unwrap_err();
        assert!(error.to_string().contains("parcel") && error.to_string().contains("zone"), "{error}");
        let error = tools.execute_python(&program("refuse"), json!({"reason": "too heavy"})).await.unwrap_err();
        assert!(matches!(&error, Error::Python(raised) if raised.to_string().contains("too heavy")), "{error}");
        drop(registered);
        assert!(matches!(tools.execute("postage", json!({})).await, Err(Error::ToolNotFound { .. })));
    }

    async fn a_tool_object_of_dspy_is_a_tool_under_its_own_name(carrier: Carrier) {
        let dspex = builder(carrier).start().await.unwrap();
        let session = dspex.session();
        let _registered = session.tools().register_python(&program("weigh")).await.unwrap();
        assert_eq!(session.tools().execute("weigh", json!({"text": "four"})).await.unwrap(), 4);
    }

    async fn an_agent_has_tools_of_both_languages(carrier: Carrier) {
        let steps = [
            step("postage", json!({"parcel": {"grams": 100}})),
            step("add", json!({"numbers": [10, 0.5]})),
            step("refuse", json!({"reason": "no"})),
            step("postage", json!({"parcel": {"grams": "heavy"}})),
        ];
        let script = ScriptedLm::new(steps.into_iter().chain(finish("posted")));
        let dspex = builder(carrier).lm(Lm::host(script)).start().await.unwrap();
        let session = dspex.session();
        let _python = session.tools().register_python(&program("postage")).await.unwrap();
        let _refuse = session.tools().register_python(&program("refuse")).await.unwrap();
        let _rust = session.tools().register(tools![add]).await.unwrap();
        assert_eq!(run(&session, "names", json!({})).await.unwrap(), json!(["postage", "refuse", "add"]));
        let agent = dspex.react("question -> answer").tools(&session).create(&session).await.unwrap();
        let out: Prediction<Value> = agent.execute(json!({"question": "?"})).await.unwrap();
        assert_eq!(observation(&out, 0), json!({"due": 10}));
        assert_eq!(observation(&out, 1), 10.5);
        assert_eq!(failure(&observation(&out, 2)), "ValueError: no");
        assert!(failure(&observation(&out, 3)).contains("grams"), "{}", observation(&out, 3));
    }

    async fn one_name_is_one_tool_in_whatever_language(carrier: Carrier) {
        let dspex = builder(carrier).start().await.unwrap();
        let session = dspex.session();
        let first = session.tools().register_python(&program("postage")).await.unwrap();
        let error = session.tools().register(tools![other_postage]).await.unwrap_err();
        assert!(error.to_string().contains("two different tools are called `postage`"), "{error}");
        // The same one may be registered twice, and is there as long as one of both is.
        let second = session.tools().register_python(&program("postage")).await.unwrap();
        drop(first);
        assert_eq!(session.tools().list().len(), 1);
        drop(second);
        let _registered = session.tools().register(tools![other_postage]).await.unwrap();
        assert_eq!(session.tools().execute("postage", json!({})).await.unwrap(), 0);
    }

    async fn what_no_worker_may_reach_cannot_be_a_tool(carrier: Carrier) {
        let dspex = builder(carrier).start().await.unwrap();
        let session = dspex.session();
        let error = session.tools().register_python("os.system").await.unwrap_err();
        assert!(matches!(error, Error::NotAllowed(_)), "{error}");
        let error = session.tools().register_python(&program("postages")).await.unwrap_err();
        assert!(matches!(error, Error::NotFound(_)), "{error}");
        assert!(session.tools().list().is_empty());
    }

    async fn a_generator_streams_its_items_and_is_a_list_for_those_who_want_all(carrier: Carrier) {
        let dspex = builder(carrier).start().await.unwrap();
        let session = dspex.session();
        let tools = session.tools();
        let _python = tools.register_python(&program("count_down")).await.unwrap();
        let _rust = tools.register(tools![count_up]).await.unwrap();
        let mut events = tools.stream("count_down", json!({"start": 300})).unwrap();
        let mut items = Vec::new();
        while let Some(event) = events.try_next().await.unwrap() {
            match event {
                CallEvent::Item { index, value } => {
                    assert_eq!(index, items.len());
                    items.push(value);
                }
                CallEvent::Done(answer) => assert_eq!(answer.as_array().map(Vec::len), Some(300)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(Value::Array(items), json!((1..=300).rev().collect::<Vec<_>>()));
        assert_eq!(tools.execute("count_down", json!({"start": 3})).await.unwrap(), json!([3, 2, 1]));
        assert_eq!(run(&session, "use", json!({"name": "count_down", "arguments": {"start": 2}})).await.unwrap(), json!([2, 1]));

        let mut events = tools.stream("count_up", json!({"end": 3})).unwrap();
        let mut items = Vec::new();
        while let Some(event) = events.try_next().await.unwrap() {
            match event {
                CallEvent::ToolItem { value, .. } => items.push(value),
                CallEvent::Done(answer) => assert_eq!(answer, json!(items)),
                CallEvent::ToolStart { .. } | CallEvent::ToolEnd { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(json!(items), json!([1, 2, 3]));
    }

    async fn a_reader_who_pauses_stops_the_generator(carrier: Carrier) {
        let dspex = builder(carrier).sync_threads(2).start().await.unwrap();
        let session = dspex.session();
        for name in ["endless", "endless_in_thread"] {
            let _registered = session.tools().register_python(&program(name)).await.unwrap();
            let mut events = session.tools().stream(name, json!({"size": 0})).unwrap();
            for _ in 0..3 {
                assert!(matches!(events.try_next().await.unwrap(), Some(CallEvent::Item { .. })));
            }
            // The reader pauses. What Python made since then is a window and no more.
            let made = settled(&session).await;
            assert!((3..1000).contains(&made), "{name} made {made} items");
            drop(events);
            eventually("Python has ended the call", || dspex.load().in_flight == 0).await;
            assert_eq!(run(&session, "has_ended", json!({})).await.unwrap(), true, "{name}");

            let mut events = session.tools().stream(name, json!({"size": 100_000})).unwrap();
            assert!(matches!(events.try_next().await.unwrap(), Some(CallEvent::Item { .. })));
            let made = settled(&session).await;
            assert!((1..50).contains(&made), "{name} made {made} large items");
            // And it goes on where it was.
            for expected in 1..100 {
                let Some(CallEvent::Item { index, .. }) = events.try_next().await.unwrap() else { panic!("no item") };
                assert_eq!(index, expected);
            }
            drop(events);
            eventually("Python has ended the call", || dspex.load().in_flight == 0).await;
        }
        assert_serves(&dspex).await;
    }

    async fn a_generator_without_a_reader_is_no_larger_than_a_message(carrier: Carrier) {
        let dspex = builder(carrier).max_message_bytes(1 << 20).sync_threads(1).start().await.unwrap();
        let session = dspex.session();
        let tools = session.tools();
        for name in ["endless", "endless_in_thread"] {
            let _registered = tools.register_python(&program(name)).await.unwrap();
            let error = tools.execute(name, json!({"size": 10_000})).await.unwrap_err();
            assert!(matches!(error, Error::TooLarge { limit: 0x10_0000, .. }), "{error}");
            eventually("Python has ended the call", || dspex.load().in_flight == 0).await;
            assert_eq!(run(&session, "has_ended", json!({})).await.unwrap(), true, "{name}");
        }
        let _registered = tools.register(tools![zeros]).await.unwrap();
        let error = tools.execute("zeros", json!({})).await.unwrap_err();
        assert!(matches!(&error, Error::Tool { error, .. } if error.kind() == ToolErrorKind::Output), "{error}");
        assert_serves(&dspex).await;
    }

    async fn short_generators_end_like_any_call(carrier: Carrier) {
        let dspex = builder(carrier).start().await.unwrap();
        let session = dspex.session();
        let _registered = session.tools().register_python(&program("count_down")).await.unwrap();
        for start in 0..200 {
            let items = session.tools().execute("count_down", json!({"start": start % 5})).await.unwrap();
            assert_eq!(items, json!((1..=start % 5).rev().collect::<Vec<_>>()));
        }
    }

    async fn a_stream_that_is_dropped_closes_the_generator(carrier: Carrier) {
        let dspex = builder(carrier).sync_threads(1).start().await.unwrap();
        let pids = worker_pids(&dspex);
        let session = dspex.session();
        for name in ["endless", "endless_in_thread"] {
            let _registered = session.tools().register_python(&program(name)).await.unwrap();
            let mut events = session.tools().stream(name, json!({})).unwrap();
            for expected in 0..1000 {
                let Some(CallEvent::Item { value, .. }) = events.try_next().await.unwrap() else { panic!("no item") };
                assert_eq!(value, expected);
            }
            drop(events);
            eventually("Python has ended the call", || dspex.load().in_flight == 0).await;
            // The only thread for functions without an async form is free again.
            assert_eq!(run(&session, "has_ended", json!({})).await.unwrap(), true, "{name}");
        }
        assert_eq!(worker_pids(&dspex), pids);
        assert_serves(&dspex).await;
    }
}
