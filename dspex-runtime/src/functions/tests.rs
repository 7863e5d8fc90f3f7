use futures::future::BoxFuture;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::api::bindings::{Draft, ModuleSpec};
use crate::tool::{Tool, ToolArguments, ToolContext, ToolError, ToolOutput, ToolSpec};

const COUNT: usize = 3;

/// A tool of one of several services, all of one name.
struct Refund(ToolSpec);

impl Tool for Refund {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    fn call(&self, _: ToolContext, _: ToolArguments) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
        Box::pin(async { ToolOutput::new(&()) })
    }
}

fn reward(score: f64) -> Reward {
    Reward::new(move |_: Value, _: Value| score)
}

fn refund() -> ToolSet {
    let tool: Arc<dyn Tool> = Arc::new(Refund(ToolSpec::builder("refund", "Pays back.").build()));
    ToolSet::new().with_shared(tool).unwrap()
}

/// What programs are made of: by their numbers.
struct Parts {
    rewards: [Reward; COUNT],
    tools: [ToolSet; COUNT],
}

/// A program of nested modules, each with functions of its own.
#[derive(Clone, Debug)]
enum Program {
    Agent(usize),
    Best(usize, Box<Program>),
    Several(usize, Vec<Program>),
}

fn programs() -> impl Strategy<Value = Program> {
    (0..COUNT).prop_map(Program::Agent).prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (0..COUNT, inner.clone()).prop_map(|(reward, inner)| Program::Best(reward, Box::new(inner))),
            (0..COUNT, prop::collection::vec(inner, 0..4))
                .prop_map(|(reward, inner)| Program::Several(reward, inner)),
        ]
    })
}

/// Data of the program that looks like what stands for functions.
fn data() -> Value {
    json!([{"host": "reward_fn"}, {"host": "tool:refund"}, {"deep": {"args": {"reward_fn": {"host": "reward_fn"}}}}])
}

impl Parts {
    fn new() -> Self {
        Self { rewards: [0.0, 1.0, 2.0].map(reward), tools: [(); COUNT].map(|()| refund()) }
    }

    fn draft(&self, program: &Program) -> Draft {
        let draft =
            Draft::new("dspy.BestOfN", "").value("data", data()).value("proxy", json!({"host": "reward_fn"}));
        match program {
            Program::Agent(tools) => draft.tools("tools", &self.tools[*tools]),
            Program::Best(reward, inner) => {
                draft.module("module", self.draft(inner)).callable("reward_fn", self.rewards[*reward].clone())
            }
            Program::Several(reward, inner) => {
                let draft = draft.callable("reward_fn", self.rewards[*reward].clone());
                let pairs = inner.iter().map(|program| (self.draft(program), data()[0].clone()));
                draft
                    .modules("programs", inner.iter().map(|program| self.draft(program)))
                    .pairs("pairs", pairs)
            }
        }
    }

    /// That each key in the document names the function that stands there.
    fn check(&self, program: &Program, spec: &Value, functions: &Functions) {
        let is = |declared: &Value, expected: HostFunction| {
            let key = declared["host"].as_str().unwrap();
            assert!(functions.get(key).unwrap().is(&expected), "`{key}` is another function's: {spec}");
        };
        let is_reward = |index: usize| {
            is(&spec["args"]["reward_fn"], HostFunction::Reward(self.rewards[index].clone()));
        };
        assert_eq!(spec["args"]["data"], data());
        assert_eq!(spec["args"]["proxy"], json!({"host": "reward_fn"}));
        match program {
            Program::Agent(tools) => {
                let entry = self.tools[*tools].entry("refund").unwrap().clone();
                is(&spec["args"]["tools"][0], HostFunction::Tool(entry));
            }
            Program::Best(reward, inner) => {
                is_reward(*reward);
                self.check(inner, &spec["args"]["module"], functions);
            }
            Program::Several(reward, inner) => {
                is_reward(*reward);
                for (index, program) in inner.iter().enumerate() {
                    self.check(program, &spec["args"]["programs"][index], functions);
                    self.check(program, &spec["args"]["pairs"][index][0], functions);
                    assert_eq!(spec["args"]["pairs"][index][1], data()[0]);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn every_key_of_a_nested_program_names_the_function_that_stands_there(program in programs()) {
        let parts = Parts::new();
        let part = parts.draft(&program).into_part();
        parts.check(&program, &part.document, &part.functions);
        // A program in a call is found by keys that its instance has not.
        let mut arguments = Map::from_iter([("program".to_owned(), part.document)]);
        let functions = part.functions.of_call(&mut arguments);
        prop_assert!(functions.0.keys().all(|key| key.starts_with(CALL_PREFIX)));
        parts.check(&program, &arguments["program"], &functions);
    }
}

#[test]
fn a_key_that_another_function_has_is_changed_in_the_document_that_comes_in() {
    let inner = Draft::new("dspy.BestOfN", "").callable("reward_fn", reward(0.0));
    let outer = Draft::new("dspy.BestOfN", "").callable("reward_fn", reward(1.0)).module("module", inner);
    let part = outer.into_part();
    assert_eq!(part.document["args"]["reward_fn"]["host"], "reward_fn");
    assert_eq!(part.document["args"]["module"]["args"]["reward_fn"]["host"], "reward_fn~2");
    assert!(part.functions.get("reward_fn").is_some() && part.functions.get("reward_fn~2").is_some());
}

#[test]
fn a_key_that_one_function_gets_is_not_the_one_that_another_comes_with() {
    let [one, two, three, four] = [1.0, 2.0, 3.0, 4.0].map(reward);
    let best = |inner: Option<Draft>, reward: &Reward| {
        let draft = Draft::new("dspy.BestOfN", "").callable("reward_fn", reward.clone());
        match inner {
            Some(inner) => draft.module("module", inner),
            None => draft,
        }
    };
    let nested: [ModuleSpec; 2] =
        [best(Some(best(None, &one)), &two).into(), best(Some(best(None, &three)), &four).into()];
    let part = Draft::new("dspy.Ensemble", "").modules("programs", nested).into_part();
    let programs = &part.document["args"]["programs"];
    for (index, inner, outer) in [(0, one, two), (1, three, four)] {
        let args = &programs[index]["args"];
        for (declared, reward) in [(&args["reward_fn"], outer), (&args["module"]["args"]["reward_fn"], inner)]
        {
            let function = part.functions.get(declared["host"].as_str().unwrap()).unwrap();
            assert!(function.is(&HostFunction::Reward(reward)), "{programs}");
        }
    }
}

#[test]
fn the_same_function_keeps_its_key() {
    let mut functions = Functions::default();
    let one = HostFunction::Reward(reward(1.0));
    functions.add("reward_fn", one.clone());
    assert_eq!(functions.add("reward_fn", one), "reward_fn");
}

#[test]
fn a_tool_with_other_states_has_a_key_of_its_own() {
    let (mut functions, tools) = (Functions::default(), refund());
    let (one, two) = (tools.clone().state(1_u8), tools.state(2_u8));
    for (tools, key) in [(&one, "tool:refund"), (&two, "tool:refund~2"), (&one, "tool:refund")] {
        assert_eq!(functions.add_tools(tools)[0]["host"], key);
    }
}
