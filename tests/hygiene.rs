//! Generated code compiles under every lint, and with every name that it could stumble over taken by something else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![deny(warnings, missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
#![allow(
    clippy::unused_async,
    clippy::unused_self,
    reason = "the bodies of the tools here are as short as can be"
)]

/// Names of the prelude and of the generated code, all of which mean something else here.
#[no_implicit_prelude]
mod taken {
    #![allow(dead_code, non_camel_case_types, reason = "they are only there to be stumbled over")]

    pub(crate) struct String;
    pub(crate) struct Vec;
    pub(crate) struct Option;
    pub(crate) struct Result;
    pub(crate) struct Some;
    pub(crate) struct Ok;
    pub(crate) struct Box;
    pub(crate) struct Module;
    pub(crate) struct Session;
    pub(crate) struct FieldType;
    pub(crate) struct Definition;
    pub(crate) struct Value;
    pub(crate) struct i64;
    pub(crate) struct f64;
    pub(crate) struct Asking;
    pub(crate) struct Into;
    pub(crate) mod core {}
    pub(crate) mod std {}
    pub(crate) mod serde {}
    pub(crate) mod schemars {}
    pub(crate) mod dspex {}

    /// A choice.
    #[derive(::dspex::FieldType)]
    pub(crate) enum Choice {
        /// The one.
        A,
        /// The other.
        B {
            /// A name that generated code may use.
            serializer: u8,
            /// Another one.
            generator: u8,
        },
    }

    /// A module.
    #[::dspex::dspy_module("dspy.ChainOfThought", temperature = 0.5)]
    pub(crate) struct Taken {
        /// A name that generated code may use.
        #[input]
        serializer: ::std::string::String,
        /// A field named like a type of the standard library.
        #[input]
        string: ::std::vec::Vec<Choice>,
        /// A keyword of Rust.
        #[output]
        r#type: ::core::option::Option<u8>,
        /// A name that generated code may use.
        #[output]
        field_type: Choice,
    }

    /// A module whose signature is text.
    #[::dspex::dspy_module(
        "dspy.ChainOfThought",
        signature = "self_, string: Literal['a', -1, None], list: set[str] -> vec: int | str, any, f: Choice",
        methods(dump_state, named_sub_modules)
    )]
    pub(crate) struct Text;

    /// A signature to share.
    #[derive(::dspex::Signature)]
    pub(crate) struct Shared {
        /// What goes in.
        #[input]
        module: ::std::string::String,
        /// What comes out.
        #[output]
        value: Choice,
        /// A keyword of Rust.
        #[output]
        r#type: ::std::string::String,
    }

    /// Types whose names are those of parameters elsewhere.
    #[derive(::dspex::FieldType)]
    pub(crate) struct V {
        /// A keyword of Rust.
        r#type: T0,
        /// Part of the path to serde.
        __private: ::core::primitive::bool,
    }

    /// The same.
    #[derive(::dspex::FieldType)]
    pub(crate) enum T0 {
        /// The same.
        M(C),
        /// The name of a trait.
        Serialize,
    }

    /// The same.
    #[derive(::dspex::FieldType)]
    pub(crate) struct C {
        /// A value.
        value: u8,
    }

    /// A module that shares it.
    #[::dspex::dspy_module("dspy.ChainOfThought", signature = Shared)]
    pub(crate) struct Sharing;

    /// A tool.
    #[::dspex::dspex_tool(
        read_only,
        timeout = "1s",
        concurrency = 3,
        examples(tool(value = "a", context = 1, tools = None::<u8>) -> 4_u8)
    )]
    pub(crate) fn tool(
        /// A text.
        #[tool(length(1..))]
        value: ::std::string::String,
        context: u8,
        #[tool(default = 3, range(0..5))] r#type: u8,
        tools: ::core::option::Option<u8>,
        #[tool(default = "b")] arguments: ::std::string::String,
    ) -> u8 {
        let _ = (value, tools, arguments);
        context + r#type
    }

    use ::core::option::Option::None;

    /// A tool with a context.
    #[::dspex::dspex_tool]
    pub(crate) async fn with_context(
        #[ctx] context: ::dspex::ToolContext,
        #[ctx] state: ::dspex::State<Vec>,
    ) -> ::core::result::Result<Choice, ::dspex::ToolError> {
        let _ = (context.tool(), &*state);
        ::core::result::Result::Ok(Choice::A)
    }

    /// A tool that streams.
    #[::dspex::dspex_tool(stream)]
    pub(crate) fn stream() -> impl ::futures::Stream<Item = ::core::result::Result<u8, ::std::string::String>>
    {
        ::futures::stream::empty()
    }

    /// A service.
    pub(crate) struct Service;

    #[::dspex::dspex_tools]
    impl Service {
        /// A method.
        #[::dspex::dspex_tool(examples(name(context = 1)))]
        pub(crate) fn name(&self, context: u8) -> u8 {
            context
        }

        /// A stream.
        #[::dspex::dspex_tool(stream)]
        async fn stream(&self, #[ctx] state: ::dspex::CallId) -> impl ::futures::Stream<Item = u8> {
            let _ = state;
            ::futures::stream::empty()
        }
    }

    /// A module with tools.
    #[::dspex::dspy_module("dspy.ReAct", signature = "string -> vec", tools(tool, self::with_context))]
    pub(crate) struct Tooled;

    pub(crate) fn tools() -> ::dspex::ToolSet {
        let service = ::std::sync::Arc::new(Service);
        let tools = ::dspex::tools![tool, with_context, self::stream];
        match tools.and(service.tools()) {
            ::core::result::Result::Ok(tools) => tools,
            ::core::result::Result::Err(_) => <Tooled as ::dspex::Module>::tools(),
        }
    }

    pub(crate) async fn expression(caller: &::dspex::Session) {
        let asking = ::dspex::signature!("string, vec: list[int] -> option: Literal['a'], result: int | str");
        let _ = asking.string("").vec([]).predict(caller).await;
        let asking = ::dspex::signature!(
            "v: V, t: list[T0], c: Optional[C], m: Literal['self', 'type', ''], s: int | str, \
             o: Optional[Literal['x']], value: str | None -> self_: V, caller",
            instructions = "Be brief.",
            describe(v = "A value.", caller = "Who calls.")
        );
        let v = V { r#type: T0::Serialize, __private: true };
        let asking = asking.v(v).t([T0::M(C { value: 1 })]).c(C { value: 2 }).m(|of| of.r#type).s("x");
        let out = asking.o(|of| of.x).value("").chain_of_thought(caller).await;
        if let ::core::result::Result::Ok(out) = out {
            let (_, _) = (&out.self_, &out.reasoning);
        }
    }

    pub(crate) fn name() -> &'static str {
        <Taken as ::dspex::Module>::definition().name
    }

    pub(crate) fn inputs() -> TakenInputs {
        TakenInputs {
            serializer: ::std::string::String::new(),
            string: ::std::vec![Choice::A, Choice::B { serializer: 1, generator: 2 }],
        }
    }
}

/// Public items, so that nothing about visibility or documentation is left out.
pub mod public {
    /// A choice.
    #[derive(Debug, Clone, dspex::FieldType)]
    pub enum Choice {
        /// The one.
        A,
        /// The other.
        B,
    }

    /// Where it is.
    #[derive(Debug, Clone, dspex::FieldType)]
    pub struct Place {
        /// To the right.
        pub x: f64,
        /// Up.
        pub y: f64,
    }

    /// Answers in other words.
    #[dspex::dspy_module(
        "dspy.Predict",
        signature = "question -> mood: Literal['calm', 'wild'], value: int | str, image: dspy.Image",
        methods(dump_state, set_criteria)
    )]
    #[derive(Debug, Clone)]
    pub struct Text;

    /// A signature to share.
    #[derive(dspex::Signature)]
    #[signature(derive(Debug, Clone))]
    pub struct Shared {
        /// The question.
        #[input]
        pub question: String,
        #[output]
        place: Place,
    }

    /// Shares a signature.
    #[dspex::dspy_module("dspy.ChainOfThought", signature = Shared)]
    #[derive(Debug, Clone)]
    pub struct Sharing;

    /// Doubles a number.
    #[dspex::dspex_tool(examples(double(number = 2) -> 4))]
    #[must_use]
    pub fn double(
        /// The number.
        number: u32,
    ) -> u32 {
        number * 2
    }

    /// Does nothing.
    #[dspex::dspex_tool]
    pub async fn nothing() {}

    /// A service.
    #[derive(Debug)]
    pub struct Service;

    #[dspex::dspex_tools]
    impl Service {
        /// Doubles a number.
        #[dspex::dspex_tool(examples(double(number = 2)))]
        #[must_use]
        pub fn double(
            &self,
            /// The number.
            number: u32,
        ) -> u32 {
            number * 2
        }

        /// Does nothing.
        #[dspex::dspex_tool]
        pub async fn nothing(&self) {}
    }

    /// An agent.
    #[dspex::dspy_module("dspy.ReAct", signature = "question -> answer", tools(double, self::nothing))]
    #[derive(Debug)]
    pub struct Agent;

    /// Answers questions.
    #[dspex::dspy_module("dspy.ChainOfThought")]
    #[derive(Debug, Clone)]
    pub struct Answer {
        /// The question.
        #[input]
        pub question: String,
        #[output]
        choice: Choice,
        #[output]
        place: Place,
    }
}

#[test]
fn names_of_the_users_module_do_not_get_in_the_way() {
    assert_eq!(taken::name(), "Taken");
    let json = serde_json::to_string(&taken::inputs()).unwrap();
    assert_eq!(json, r#"{"serializer":"","string":["A",{"B":{"serializer":1,"generator":2}}]}"#);
}

#[test]
fn names_of_the_users_module_do_not_get_in_the_way_of_tools() {
    use dspex::Module;

    let names = |tools: dspex::ToolSet| tools.specs().map(|spec| spec.name().to_owned()).collect::<Vec<_>>();
    // The service has a tool of a name that a function has, so these are the module's.
    assert_eq!(names(taken::tools()), ["tool", "with_context"]);
    assert_eq!(names(public::Agent::tools()), ["double", "nothing"]);
    assert_eq!(names(std::sync::Arc::new(public::Service).tools()), ["double", "nothing"]);
}

#[test]
fn generated_items_are_as_visible_as_the_struct() {
    let inputs = public::AnswerInputs { question: String::new() };
    assert_eq!(inputs.clone().question, "");
    let outputs = |outputs: public::AnswerOutputs| (outputs.choice, outputs.place, outputs.reasoning);
    let _ = outputs;
}
