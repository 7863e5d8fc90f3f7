//! Generated code compiles under every lint, and with every name that it could stumble over taken by something else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![deny(warnings, missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

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
fn generated_items_are_as_visible_as_the_struct() {
    let inputs = public::AnswerInputs { question: String::new() };
    assert_eq!(inputs.clone().question, "");
    let outputs = |outputs: public::AnswerOutputs| (outputs.choice, outputs.place, outputs.reasoning);
    let _ = outputs;
}
