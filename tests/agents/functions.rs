//! Rewards, metrics and embedders: the same door for functions that are no tools.

use dspex::testing::ScriptedLm;
use dspex::{Embedder, Judged, Metric, Reward, Score};

use crate::common::{assert_serves, on_both_carriers};
use crate::*;

/// What a town is known for.
#[dspex_tool]
async fn known_for(town: String) -> String {
    tokio::task::yield_now().await;
    format!("{town} is known for its {} letters", town.len())
}

/// Tell what a town is known for.
#[dspy_module("dspy.ReAct", tools(known_for), max_iters = 3)]
#[derive(Debug)]
struct Guide {
    #[input]
    town: String,
    #[output]
    answer: String,
}

/// Says which town is home.
#[dspex_tool]
fn home(#[ctx] town: State<String>) -> String {
    town.to_string()
}

fn guided(town: &str, answer: &str) -> [Value; 3] {
    let [last, answer] = finish(answer);
    [step("known_for", json!({"town": town})), last, answer]
}

fn longest(inputs: &GuideInputs, outputs: &GuideOutputs) -> f64 {
    assert_eq!(inputs.town, "Ulm");
    outputs.answer.len() as f64
}

fn inputs() -> GuideInputs {
    GuideInputs { town: "Ulm".into() }
}

async fn guide(carrier: Carrier, script: &ScriptedLm) -> (Dspex, Instance<Guide>) {
    let dspex = builder(carrier).lm(Lm::host(script.clone())).sync_threads(1).start().await.unwrap();
    let guide = Guide::create(&dspex.session()).await.unwrap();
    (dspex, guide)
}

fn devset() -> Value {
    let example = |question: &str| json!({"fields": {"question": question, "answer": question}, "inputs": ["question"]});
    json!([example("a"), example("b"), example("c"), example("d")])
}

on_both_carriers! {
    async fn the_best_of_several_agents_with_async_tools_is_chosen_by_a_rust_reward(carrier: Carrier) {
        let attempts = [guided("Ulm", "short"), guided("Paris", "the longest of all"), guided("Ulm", "middling")];
        let script = ScriptedLm::new(attempts.into_iter().flatten());
        let (dspex, guide) = guide(carrier, &script).await;
        let reward = Reward::new(|inputs: GuideInputs, outputs: GuideOutputs| longest(&inputs, &outputs));
        let best = guide.best_of_n(3, 1000.0, reward).await.unwrap();
        let out = best.execute(inputs()).await.unwrap();
        assert_eq!(out.answer, "the longest of all");
        assert_eq!(out.trajectory["observation_0"], "Paris is known for its 5 letters");
        assert_eq!(script.remaining(), 0);
        assert_eq!(dspex.load().in_flight, 0);
    }

    async fn the_first_agent_that_reaches_the_threshold_is_the_last(carrier: Carrier) {
        let script = ScriptedLm::new([guided("Ulm", "short"), guided("Ulm", "long enough")].into_iter().flatten());
        let (_dspex, guide) = guide(carrier, &script).await;
        let reward = Reward::asynchronous(|_: GuideInputs, outputs: GuideOutputs| async move {
            tokio::task::yield_now().await;
            if outputs.answer.len() > 5 { 1.0 } else { 0.0 }
        });
        let out = guide.best_of_n(5, 1.0, reward).await.unwrap().execute(inputs()).await.unwrap();
        assert_eq!((out.answer.as_str(), script.remaining()), ("long enough", 0));
    }

    async fn an_attempt_whose_reward_panics_counts_as_failed_and_the_next_is_taken(carrier: Carrier) {
        let script = ScriptedLm::new([guided("Ulm", "short"), guided("Ulm", "fine")].into_iter().flatten());
        let (dspex, guide) = guide(carrier, &script).await;
        let reward = Reward::new(|_: GuideInputs, outputs: GuideOutputs| {
            assert_ne!(outputs.answer, "short", "no reward for this");
            1.0
        });
        let out = guide.best_of_n(2, 1.0, reward).await.unwrap().execute(inputs()).await.unwrap();
        assert_eq!((out.answer.as_str(), script.remaining()), ("fine", 0));
        assert_serves(&dspex).await;
    }

    async fn a_reward_of_other_types_fails_all_attempts(carrier: Carrier) {
        let script = ScriptedLm::new([guided("Ulm", "short"), guided("Ulm", "fine")].into_iter().flatten());
        let (dspex, guide) = guide(carrier, &script).await;
        let reward = Reward::new(|_: Value, outputs: Vec<u32>| outputs.len() as f64);
        let best = guide.best_of_n(2, 1.0, reward).await.unwrap();
        let error = best.execute(inputs()).await.unwrap_err();
        assert!(error.to_string().contains("none of the attempts of `dspy.BestOfN` succeeded"), "{error}");
        assert_serves(&dspex).await;
    }

    async fn refine_tells_the_adviser_what_the_reward_says_of_itself(carrier: Carrier) {
        let advice = json!({"reasoning": "It is short.", "discussion": "It is short.", "advice": {"self": "Be longer."}});
        let attempts = [guided("Ulm", "short").to_vec(), vec![advice], guided("Ulm", "long enough").to_vec()];
        let script = ScriptedLm::new(attempts.into_iter().flatten());
        let (_dspex, guide) = guide(carrier, &script).await;
        let reward = Reward::new(|_: GuideInputs, out: GuideOutputs| if out.answer.len() > 5 { 1.0 } else { 0.0 });
        let reward = reward.describe("more than five letters");
        let out = guide.refine(2, 1.0, reward).await.unwrap().execute(inputs()).await.unwrap();
        assert_eq!((out.answer.as_str(), script.remaining()), ("long enough", 0));
        let asked = script.requests()[3].prompt_text();
        assert!(asked.contains("more than five letters"), "{asked}");
    }

    async fn an_evaluation_scores_with_a_rust_metric_from_all_its_threads(carrier: Carrier) {
        let script = ScriptedLm::default()
            .when(|request| request.last_user_text().contains("]]\nb\n"), json!({"answer": "wrong"}))
            .when(|request| request.last_user_text().contains("]]\na\n"), json!({"answer": "a"}))
            .when(|_| true, json!({"answer": "c"}));
        let dspex = builder(carrier).lm(Lm::host(script)).start().await.unwrap();
        let session = dspex.session();
        let metric = Metric::new(|judged: Judged<Value, Value>| {
            assert_eq!(judged.gold.inputs, ["question"]);
            let right = judged.gold.fields["answer"] == judged.prediction["answer"];
            Score::from(right).feedback("compared")
        });
        let evaluate = InstanceSpec::new("dspy.Evaluate").arg("devset", devset()).arg("num_threads", 4);
        let evaluate = evaluate.callable("metric", metric).create(&session).await.unwrap();
        let program = InstanceSpec::new("dspy.Predict").signature(json!({"text": "question -> answer"}));
        let out: Prediction<Value> = evaluate.predict("").module("program", program).await.unwrap();
        assert_eq!(out["score"], 50.0);
    }

    async fn an_embedder_of_rust_serves_dspys_search(carrier: Carrier) {
        let dspex = builder(carrier).start().await.unwrap();
        let session = dspex.session();
        let embedder = Embedder::asynchronous(|texts| async move {
            tokio::task::yield_now().await;
            Ok(texts.iter().map(|text| letters_of(text)).collect())
        });
        let corpus = json!(["a ship on the sea", "jazz quizzes", "bbbb"]);
        let nearest = InstanceSpec::new(program("Nearest")).callable("embedder", embedder.clone()).arg("corpus", corpus);
        let nearest = nearest.create(&session).await.unwrap();
        let out: Prediction<Value> = nearest.execute(json!({"query": "a quiz about jazz"})).await.unwrap();
        assert_eq!(out["found"], json!(["jazz quizzes"]));

        let examples: Vec<Value> = ["ships at sea", "pizza", "bib"]
            .map(|text| json!({"fields": {"question": text}, "inputs": ["question"]}))
            .to_vec();
        let knn = InstanceSpec::new("dspy.KNN").arg("k", 1).arg("trainset", examples).callable("vectorizer", embedder);
        let knn = knn.create(&session).await.unwrap();
        let found: Value = knn.method("").value("question", "zip a pizza").await.unwrap();
        assert_eq!(found[0]["question"], "pizza", "{found}");
    }

    async fn each_embedder_searches_the_corpus_with_its_own_vectors(carrier: Carrier) {
        let dspex = builder(carrier).start().await.unwrap();
        let session = dspex.session();
        let embedded = Arc::new(AtomicUsize::new(0));
        let counted = embedded.clone();
        let by_letters = Embedder::new(move |texts| {
            counted.fetch_add(texts.len(), Ordering::SeqCst);
            Ok(texts.iter().map(|text| letters_of(text)).collect())
        });
        let by_length = Embedder::new(|texts| {
            let angle = |text: &String| text.len() as f32 / 10.0;
            Ok(texts.iter().map(|text| vec![angle(text).cos(), angle(text).sin()]).collect())
        });
        // The first again: its vectors are still there.
        for (embedder, expected) in [(&by_letters, "zzzzzzzz"), (&by_length, "ab"), (&by_letters, "zzzzzzzz")] {
            let nearest = InstanceSpec::new(program("Nearest")).callable("embedder", embedder.clone());
            let nearest = nearest.arg("corpus", json!(["ab", "zzzzzzzz"])).create(&session).await.unwrap();
            let out: Prediction<Value> = nearest.execute(json!({"query": "zz"})).await.unwrap();
            assert_eq!(out["found"], json!([expected]));
        }
        assert_eq!(embedded.load(Ordering::SeqCst), 2 + 2, "a corpus of two, and two queries");
    }

    async fn the_metric_of_a_call_counts_before_that_of_its_evaluation(carrier: Carrier) {
        let script = ScriptedLm::default().when(|_| true, json!({"answer": "a"}));
        let dspex = builder(carrier).lm(Lm::host(script)).start().await.unwrap();
        let metric = |score: f64| Metric::new(move |_: Judged<Value, Value>| score);
        let evaluate = InstanceSpec::new("dspy.Evaluate").arg("devset", devset()).callable("metric", metric(1.0));
        let evaluate = evaluate.create(&dspex.session()).await.unwrap();
        let program = || InstanceSpec::new("dspy.Predict").signature(json!({"text": "question -> answer"}));
        let out: Prediction<Value> =
            evaluate.predict("").module("program", program()).callable("metric", metric(0.25)).await.unwrap();
        assert_eq!(out["score"], 25.0);
        let out: Prediction<Value> = evaluate.predict("").module("program", program()).await.unwrap();
        assert_eq!(out["score"], 100.0);
    }

    async fn a_tool_with_other_states_clashes_in_a_session_until_the_first_is_gone(carrier: Carrier) {
        let dspex = builder(carrier).start().await.unwrap();
        let session = dspex.session();
        let (one, two) = (tools![home].state("Ulm".to_owned()), tools![home].state("Paris".to_owned()));
        let first = session.tools().register(one.clone()).await.unwrap();
        let again = session.tools().register(&one).await.unwrap();
        let error = session.tools().register(&two).await.unwrap_err();
        assert!(error.to_string().contains("`home` is there already with other states"), "{error}");
        assert_eq!(session.tools().execute("home", json!({})).await.unwrap(), "Ulm");
        drop((first, again));
        let _second = session.tools().register(two).await.unwrap();
        assert_eq!(session.tools().execute("home", json!({})).await.unwrap(), "Paris");
    }

    async fn an_embedder_that_fails_says_so_and_the_pool_serves_on(carrier: Carrier) {
        let dspex = builder(carrier).start().await.unwrap();
        let session = dspex.session();
        for (embedder, problem) in [
            (Embedder::new(|_| Err("the vectors are sold out".to_owned())), "the vectors are sold out"),
            (Embedder::new(|_| Ok(vec![vec![1.0]])), "one vector for each of 2 texts"),
        ] {
            let nearest = InstanceSpec::new(program("Nearest")).callable("embedder", embedder);
            let created = nearest.arg("corpus", json!(["a", "b"])).create(&session).await;
            let error = match created {
                Ok(nearest) => nearest.execute::<Value>(json!({"query": "a"})).await.map(drop).unwrap_err(),
                Err(error) => error,
            };
            assert!(error.to_string().contains(problem), "{error}");
        }
        assert_serves(&dspex).await;
    }
}

/// How often each letter is in a text, as a vector of length one.
fn letters_of(text: &str) -> Vec<f32> {
    let count = |letter| text.chars().filter(|there| *there == letter).count() as f32;
    let counts: Vec<f32> = ('a'..='z').map(count).collect();
    let length = counts.iter().map(|count| count * count).sum::<f32>().sqrt();
    counts.iter().map(|count| count / length).collect()
}
