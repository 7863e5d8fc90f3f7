//! `#[dspex_tools]`: methods of a service.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dspex::prelude::*;
use futures::Stream;
use serde_json::json;

use super::call;

#[derive(Default)]
struct Billing {
    refunded: AtomicU32,
    names: Vec<String>,
}

#[dspex_tools]
impl Billing {
    /// Not a tool.
    fn total(&self) -> u32 {
        self.refunded.load(Ordering::SeqCst)
    }

    /// Refunds an invoice.
    #[dspex_tool(concurrency = 1, examples(refund(invoice = 3) -> 3))]
    async fn refund(
        &self,
        /// Its number.
        #[tool(range(1..))]
        invoice: u32,
    ) -> Result<u32, String> {
        if invoice == 13 {
            return Err("invoice 13 was refunded already".to_owned());
        }
        Ok(self.refunded.fetch_add(invoice, Ordering::SeqCst) + invoice)
    }

    /// The first name, lent.
    #[dspex_tool(name = "first_name", read_only)]
    fn first(&self, #[ctx] context: ToolContext) -> &str {
        assert_eq!(context.tool(), "first_name");
        self.names.first().map_or("nobody", String::as_str)
    }

    /// Mentions itself.
    #[dspex_tool]
    fn same(&self, other: Option<<Self as Other>::Type>) -> <Self as Other>::Type {
        other.unwrap_or_default() + Self::STEP
    }

    /// All names, lent one by one.
    #[dspex_tool(stream)]
    fn each(&self) -> impl Stream<Item = &str> {
        futures::stream::iter(self.names.iter().map(String::as_str))
    }

    /// The same, after a while.
    #[dspex_tool(stream)]
    async fn each_or_error(
        &self,
        fail: bool,
    ) -> Result<impl Stream<Item = Result<usize, String>> + use<'_>, String> {
        tokio::task::yield_now().await;
        if fail {
            return Err("there are none".to_owned());
        }
        Ok(futures::stream::iter(self.names.iter().map(|name| match name.len() {
            0 => Err("a name is empty".to_owned()),
            length => Ok(length),
        })))
    }

    const STEP: u8 = 1;
}

trait Other {
    type Type;
}

impl Other for Billing {
    type Type = u8;
}

mod elsewhere {
    use dspex::{dspex_tool, dspex_tools};

    #[derive(Debug)]
    pub(crate) struct Clock;

    #[dspex_tools]
    impl self::Clock {
        /// The time.
        #[dspex_tool]
        pub(crate) async fn time(&self) -> u8 {
            12
        }
    }
}

fn billing(names: &[&str]) -> Arc<Billing> {
    Arc::new(Billing { names: names.iter().map(|name| (*name).to_owned()).collect(), ..Billing::default() })
}

#[tokio::test]
async fn methods_with_the_mark_are_the_tools_in_their_order() {
    let billing = billing(&["Sara"]);
    let tools = billing.tools();
    let names: Vec<&str> = tools.specs().map(|spec| spec.name()).collect();
    assert_eq!(names, ["refund", "first_name", "same", "each", "each_or_error"]);
    assert_eq!(tools.get("refund").unwrap().spec().parameters().len(), 1);
    assert_eq!(tools.get("refund").unwrap().spec().description(), "Refunds an invoice.");
}

#[tokio::test]
async fn all_calls_share_the_service() {
    let billing = billing(&["Sara"]);
    let tools = billing.tools();
    let refund = tools.get("refund").unwrap();
    assert_eq!(call(&**refund, json!({"invoice": 3})).await.unwrap(), json!(3));
    assert_eq!(call(&**refund, json!({"invoice": 4})).await.unwrap(), json!(7));
    let error = call(&**refund, json!({"invoice": 13})).await.unwrap_err();
    assert_eq!(error.message(), "invoice 13 was refunded already");
    assert_eq!((billing.total(), billing.refund(1).await), (7, Ok(8)));
}

#[tokio::test]
async fn answers_may_be_lent_by_the_service_and_types_be_its_own() {
    let tools = billing(&["Sara"]).tools();
    assert_eq!(call(&**tools.get("first_name").unwrap(), json!({})).await.unwrap(), json!("Sara"));
    assert_eq!(call(&**tools.get("same").unwrap(), json!({"other": 4})).await.unwrap(), json!(5));
    assert_eq!(tools.get("first_name").unwrap().spec().returns().unwrap()["type"], "string");
}

#[tokio::test]
async fn streams_may_borrow_from_the_service() {
    let tools = billing(&["Sara", "", "Joe"]).tools();
    assert_eq!(call(&**tools.get("each").unwrap(), json!({})).await.unwrap(), json!("SaraJoe"));
    let each = tools.get("each_or_error").unwrap();
    assert_eq!(call(&**each, json!({"fail": false})).await.unwrap_err().message(), "a name is empty");
    assert_eq!(call(&**each, json!({"fail": true})).await.unwrap_err().message(), "there are none");
    let tools = billing(&["Sara", "Joe"]).tools();
    let answer = call(&**tools.get("each_or_error").unwrap(), json!({"fail": false})).await.unwrap();
    assert_eq!(answer, json!([4, 3]));
}

#[test]
fn tools_of_one_service_are_the_same_each_time() {
    let billing = billing(&[]);
    let twice = billing.tools().and(billing.clone().tools()).unwrap();
    assert_eq!(twice.len(), billing.tools().len());
}

#[test]
fn tools_of_two_services_clash() {
    let error = billing(&[]).tools().and(billing(&[]).tools()).unwrap_err();
    assert_eq!(error, dspex::tool::ToolSetError::Duplicate("refund".to_owned()));
}

#[tokio::test]
async fn a_service_can_be_named_by_a_path_and_hold_nothing() {
    let clock = Arc::new(elsewhere::Clock);
    let tools = billing(&[]).tools().and(clock.tools()).unwrap();
    assert_eq!(call(&**tools.get("time").unwrap(), json!({})).await.unwrap(), json!(12));
    assert!(clock.tools().and(Arc::new(elsewhere::Clock).tools()).is_err());
}
