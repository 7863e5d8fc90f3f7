//! What the macros write, in full.

use quote::quote;

use super::pretty;
use crate::{field_type, module, tool};

/// The tokens that are expanded stand in the test; repeating them in the snapshot would only make it long.
macro_rules! assert_snapshot {
    ($text:expr) => {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!($text) })
    };
}

/// The fingerprint changes with every snapshot, and is not what these tests are about.
fn without_fingerprint(text: &str) -> String {
    let is_fingerprint = |part: &&str| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text.split('"').find(is_fingerprint) {
        Some(fingerprint) => text.replace(fingerprint, "<fingerprint>"),
        None => text.to_owned(),
    }
}

fn expand_module(args: proc_macro2::TokenStream, item: proc_macro2::TokenStream) -> String {
    without_fingerprint(&pretty(module::expand(args, item)))
}

#[test]
fn a_module() {
    assert_snapshot!(expand_module(
        quote!("dspy.ChainOfThought", temperature = 0.2),
        quote! {
            /// Triage a support ticket.
            #[derive(Clone, Debug)]
            #[allow(clippy::large_enum_variant)]
            pub struct Triage {
                /// What the customer wrote.
                #[input]
                ticket: String,
                #[output]
                #[schemars(range(min = 1, max = 5))]
                #[serde(default)]
                r#type: u8,
                #[cfg(feature = "tags")]
                #[output]
                tags: Vec<String>,
            }
        }
    ));
}

#[test]
fn a_module_with_the_facade_elsewhere() {
    assert_snapshot!(expand_module(
        quote!("dspy.Predict", crate = crate::facade),
        quote! {
            struct Ask {
                #[input]
                question: String,
                #[output]
                answer: String,
            }
        }
    ));
}

#[test]
fn a_module_from_a_text() {
    assert_snapshot!(expand_module(
        quote!(
            "dspy.Predict",
            signature = "question, crate: Person -> label: Literal['a', -1], value: int | float | None",
            transform = to_answer -> BTreeMap<String, i64>,
            methods(dump_state),
            execute = "forward"
        ),
        quote! {
            /// Answer.
            #[derive(Debug)]
            pub struct Qa;
        }
    ));
}

#[test]
fn a_module_of_a_class_that_is_not_checked() {
    assert_snapshot!(expand_module(
        quote!("my_team.rag.Answer", unchecked, signature = "question -> answer", depth = 3, methods(reset)),
        quote!(
            struct Qa;
        )
    ));
}

#[test]
fn a_module_with_errors_keeps_its_items() {
    assert_snapshot!(expand_module(
        quote!("dspy.Predct", tools(search)),
        quote! {
            #[serde(rename_all = "camelCase")]
            struct Ask {
                #[input]
                question: &'static str,
                #[output]
                answer: String,
                forgotten: bool,
            }
        }
    ));
}

#[test]
fn an_item_that_is_not_complete_is_still_there() {
    let text = expand_module(quote!("dspy.Predict"), quote!(struct Ask { #[input] question: , }));
    assert!(text.contains("struct Ask { question : , }"), "{text}");
    assert!(text.contains("compile_error"), "{text}");
}

#[test]
fn an_enum_as_a_field_type() {
    assert_snapshot!(pretty(field_type::expand(quote! {
        /// How soon.
        #[derive(Debug)]
        #[serde(rename_all = "lowercase")]
        pub enum Urgency {
            /// Now.
            #[default]
            High = 1,
            Low { why: String, next: Option<Box<Self>> },
        }
    })));
}

#[test]
fn a_struct_as_a_field_type() {
    assert_snapshot!(pretty(field_type::expand(quote! {
        #[field(crate = ::renamed)]
        pub struct Place {
            /// To the right.
            #[schemars(range(min = 0))]
            pub x: f64,
            #[builder(default)]
            y: f64,
        }
    })));
}

#[test]
fn a_field_type_with_errors_still_implements_its_traits() {
    assert_snapshot!(pretty(field_type::expand(quote! {
        struct Generic<'a, T: Clone> where T: Copy { value: &'a T }
    })));
}

#[test]
fn a_tool() {
    assert_snapshot!(pretty(tool::expand(
        quote!(
            timeout = "30s",
            concurrency = 4,
            read_only,
            examples(plan_of(email = "a@b.c", r#type = 2) -> Plan::free())
        ),
        quote! {
            /// Plan of a customer.
            #[cfg(feature = "plans")]
            #[must_use]
            pub async fn plan_of(
                #[ctx] db: State<Db>,
                /// The address.
                #[tool(length(3..), pattern = "@")]
                email: String,
                #[tool(default = 3, range(0..=50))] mut r#type: u32,
                region: Option<String>,
            ) -> Result<Plan, CrmError> {
                db.plan_of(email).await
            }
        }
    )));
}

#[test]
fn a_tool_that_streams_with_the_facade_elsewhere() {
    assert_snapshot!(pretty(tool::expand(
        quote!(stream, name = "count-up", crate = crate::facade),
        quote! {
            /// Counts.
            fn count() -> impl Stream<Item = Result<u8, Broken>> {
                body is anything at all
            }
        }
    )));
}

#[test]
fn tools_of_a_service() {
    assert_snapshot!(pretty(tool::expand_service(
        quote!(),
        quote! {
            #[cfg(unix)]
            impl Billing {
                /// Refunds.
                #[dspex_tool(examples(refund(invoice = 3)))]
                pub async fn refund(&self, #[ctx] session: Session, #[tool(range(1..))] invoice: u32) -> Self::Refund {
                    self.book(invoice)
                }

                fn book(&self, #[other] invoice: u32) {}

                /// Counts.
                #[dspex::dspex_tool(stream)]
                fn count(&self) -> impl Stream<Item = u8> {
                    self.invoices()
                }
            }
        }
    )));
}

#[test]
fn a_tool_with_errors_keeps_its_function_and_its_type() {
    assert_snapshot!(pretty(tool::expand(
        quote!(timout = "3s"),
        quote! {
            pub(crate) fn plan_of(
                /// The address.
                #[tool(default = 3)]
                email: &str,
            ) {
            }
        }
    )));
}

#[test]
fn a_set_of_tools() {
    assert_snapshot!(pretty(tool::expand_set(quote!((crate::facade) plan_of, billing::refund))));
}

#[test]
fn a_module_with_tools() {
    let text = expand_module(
        quote!("dspy.ReAct", signature = "question -> answer", tools(lookup, billing::refund)),
        quote!(
            struct Agent;
        ),
    );
    let start = text.find("fn tools()").unwrap();
    let end = start + text[start..].find("\n    }\n").unwrap();
    assert_snapshot!(&text[start..end]);
}

#[test]
fn a_function_that_is_not_complete_is_still_there() {
    let text =
        pretty(tool::expand(quote!(), quote!(fn plan_of(#[tool(default = 1)] email: , #[ctx] db: Db) {})));
    assert!(text.contains("fn plan_of (email : , db : Db) { }"), "{text}");
    assert!(text.contains("compile_error"), "{text}");
}
