//! `session.tools()`.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::registry::Kind;
use super::{ToolInfo, ToolLanguage};
use crate::api::caller::{CallContext, CallOptions, Caller, decode_document, encode_document};
use crate::api::events::CallEvents;
use crate::api::session::SessionState;
use crate::api::{CallEvent, CallStream, Session};
use crate::bridge::Target;
use crate::error::{Error, Result};
use crate::tool::{IntoToolSet, ToolSetError};
use crate::wire;

/// The tools of a session, of both languages under one namespace.
///
/// ```no_run
/// # use dspex_runtime::{Session, Result, tool::ToolSet};
/// # async fn run(session: Session, crm: ToolSet) -> Result<()> {
/// use serde_json::json;
///
/// let registered = session.tools().register(crm).await?;
/// session.tools().register_python("my_team.tools.summarise").await?.keep();
/// let plan = session.tools().execute("plan_of", json!({"email": "sara@acme.io"})).await?;
/// drop(registered); // `plan_of` is gone everywhere
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Tools {
    session: Session,
    idempotent: bool,
}

impl Tools {
    pub(crate) fn new(session: Session) -> Self {
        Self { session, idempotent: false }
    }

    /// Tools of Python that are run on this handle may be run again if their worker is lost; see
    /// [`Run::idempotent`](crate::Run::idempotent). Those of Rust run in this process, and need no worker.
    #[must_use]
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = idempotent;
        self
    }

    /// Gives the session tools of Rust. Python programs in the session find them in `dspex_worker.session().tools`; an agent
    /// takes them with `.tools(&session)`.
    ///
    /// They are there as long as the registration is. Tools live in this process: a session that is found again after a restart
    /// has none.
    ///
    /// # Errors
    ///
    /// [`Error::Tools`] if the set is empty, another tool of the session has one of the names, or a tool's state was not given;
    /// then none is registered. [`Error::SessionNotFound`](crate::Error::SessionNotFound) if the session ended.
    pub async fn register(&self, tools: impl IntoToolSet) -> Result<ToolRegistration> {
        let tools = tools.into_tool_set()?;
        if tools.is_empty() {
            return Err(ToolSetError::Empty.into());
        }
        tools.check_in(&self.session.dspex().runtime.states, true)?;
        self.add(tools.entries().iter().cloned().map(Kind::Rust).collect())
    }

    /// Gives the session a tool of Python: a function, or a `dspy.Tool` object, of a module that
    /// [`allow_module`](crate::DspexBuilder::allow_module) names. A worker says what its parameters are.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound) and [`Error::NotAllowed`](crate::Error::NotAllowed) for the path; as
    /// [`register`](Self::register) otherwise.
    pub async fn register_python(&self, path: &str) -> Result<ToolRegistration> {
        let info = self.describe_python(path).await?;
        self.add(vec![Kind::Python { path: path.to_owned(), info: info.into() }])
    }

    fn add(&self, kinds: Vec<Kind>) -> Result<ToolRegistration> {
        let state = self.session.state();
        let Some(number) = state.tools().register(kinds)? else {
            return Err(Error::SessionNotFound(state.id().to_owned()));
        };
        Ok(ToolRegistration { session: Arc::downgrade(state), number })
    }

    /// Takes a tool away, whoever registered it: instances that have it are told that it is gone when they call it.
    ///
    /// # Errors
    ///
    /// [`Error::ToolNotFound`](crate::Error::ToolNotFound).
    pub fn unregister(&self, name: &str) -> Result<()> {
        if self.session.state().tools().remove(name) { Ok(()) } else { Err(self.unknown(name)) }
    }

    /// The tools, in the order in which they were registered.
    #[must_use]
    pub fn list(&self) -> Vec<ToolInfo> {
        self.session.state().tools().infos()
    }

    /// What a tool is.
    ///
    /// # Errors
    ///
    /// [`Error::ToolNotFound`](crate::Error::ToolNotFound).
    pub fn info(&self, name: &str) -> Result<ToolInfo> {
        self.find(name).map(|kind| kind.info())
    }

    /// Runs a tool of either language with an object of arguments.
    ///
    /// # Errors
    ///
    /// [`Error::ToolNotFound`](crate::Error::ToolNotFound), [`Error::Tool`](crate::Error::Tool) for what a Rust tool ended with,
    /// and whatever a call ends with for one in Python: for a generator [`Error::TooLarge`](crate::Error::TooLarge) where all its
    /// items together are larger than one message may be, and [`stream`](Self::stream) has no such limit.
    pub async fn execute(&self, name: &str, arguments: impl Serialize + Send) -> Result<Value> {
        let arguments = document(&arguments)?;
        self.start(name, arguments, CallEvents::default())?.await
    }

    /// The same, with the answer as a Rust type.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute), and [`Error::Wire`](crate::Error::Wire) if the answer does not fit the type.
    pub async fn execute_as<R: DeserializeOwned>(
        &self,
        name: &str,
        arguments: impl Serialize + Send,
    ) -> Result<R> {
        let answer = self.execute(name, arguments).await?;
        let read = wire::document_to_vec(&answer).and_then(|json| wire::from_slice(&json));
        read.map_err(|problem| Error::Wire {
            what: format!("the answer of `{name}` does not fit its Rust type"),
            problem,
        })
    }

    /// Runs a tool of either language, and gives the items of one that streams as they come.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute); what goes wrong in the tool comes with the stream.
    pub fn stream(&self, name: &str, arguments: impl Serialize) -> Result<CallStream<Value>> {
        let (tools, name, arguments) = (self.clone(), name.to_owned(), document(&arguments)?);
        self.find(&name)?;
        Ok(CallStream::new(move |events| async move { tools.start(&name, arguments, events)?.await }))
    }

    /// Runs a tool of Python by its path, registered or not.
    ///
    /// # Errors
    ///
    /// Whatever the call ends with; see [`Error`](crate::Error).
    pub async fn execute_python(&self, path: &str, arguments: impl Serialize + Send) -> Result<Value> {
        let options = CallOptions { idempotent: self.idempotent, ..CallOptions::default() };
        python(self.session.context(), path.to_owned(), document(&arguments)?, options).await
    }

    /// What a tool of Python is, by its path: a worker says so, and nothing is run.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound) and [`Error::NotAllowed`](crate::Error::NotAllowed) for the path.
    pub async fn describe_python(&self, path: &str) -> Result<ToolInfo> {
        let target = Target::Tool { path: path.to_owned(), describe: true };
        let options = CallOptions { idempotent: true, ..CallOptions::default() };
        let payload = self.session.context().run(target, Bytes::new(), &options).await?;
        let described = decode_document(&payload, path)?;
        ToolInfo::of_python(path, &described)
            .ok_or_else(|| Error::Protocol(format!("the description of `{path}` cannot be read")))
    }

    /// The run of a tool, yet to be awaited.
    fn start(
        &self,
        name: &str,
        arguments: Value,
        events: CallEvents,
    ) -> Result<impl Future<Output = Result<Value>> + Send + 'static> {
        let (kind, context, name) = (self.find(name)?, self.session.context(), name.to_owned());
        let idempotent = self.idempotent;
        Ok(async move {
            match kind {
                Kind::Python { path, .. } => {
                    let options = CallOptions { events, idempotent, ..CallOptions::default() };
                    python(context, path, arguments, options).await
                }
                Kind::Rust(entry) => {
                    let answered = Box::pin(context.run_tool(&entry, &arguments, &events)).await?;
                    answered
                        .and_then(|answered| answered.to_value())
                        .map_err(|error| Error::Tool { tool: name, error })
                }
            }
        })
    }

    fn find(&self, name: &str) -> Result<Kind> {
        self.session.state().ensure_open()?;
        self.session.state().tools().find(name).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Error {
        Error::ToolNotFound {
            tool: name.to_owned(),
            registered: self.list().iter().map(|info| info.name().to_owned()).collect(),
        }
    }
}

/// Runs a tool of Python. The items of a generator go to whoever reads the events, and together they are the answer: null where
/// somebody read more of them than one message may hold, an error where nobody did.
async fn python(context: CallContext, path: String, arguments: Value, options: CallOptions) -> Result<Value> {
    let events = options.events.clone();
    let inputs = encode_document(&arguments)?;
    let limit = context.runtime.bridge.pool().max_message_bytes();
    let target = Target::Tool { path: path.clone(), describe: false };
    let mut stream = CallStream::new(move |events| async move {
        let options = CallOptions { events, ..options };
        let payload = context.run(target, inputs, &options).await?;
        Ok(decode_document(&payload, &path)?.get_mut("value").map(Value::take))
    });
    let (mut items, mut before) = (Some(Vec::new()), 0);
    loop {
        match stream.try_next().await? {
            Some(CallEvent::Item { index, value }) => {
                let size = stream.item_bytes();
                if size > limit && !events.is_read() {
                    // With the stream goes the call, and with the call the generator.
                    return Err(Error::TooLarge { what: "the items of the tool", size, limit });
                }
                match &mut items {
                    Some(items) if size <= limit => {
                        // A call that is run again begins anew.
                        items.truncate(index);
                        items.push(value.clone());
                    }
                    _ => items = None,
                }
                events.item(index, value, size - before).await;
                before = size;
            }
            Some(CallEvent::Done(answer)) => {
                return Ok(answer.or(items.map(Value::Array)).unwrap_or_default());
            }
            Some(_) => {}
            None => return Err(Error::Protocol("the call of a tool had no end".to_owned())),
        }
    }
}

fn document<T: Serialize>(arguments: &T) -> Result<Value> {
    wire::to_vec(arguments)
        .and_then(|json| wire::document_from_slice(&json))
        .map_err(|problem| Error::Wire { what: "the arguments cannot be sent".to_owned(), problem })
}

/// Tools that are registered as long as this lives: dropped, they are gone everywhere.
#[must_use = "the tools are gone when this is dropped; `keep` leaves them to the session"]
#[derive(Debug)]
pub struct ToolRegistration {
    /// Nobody's once it was kept.
    session: Weak<SessionState>,
    number: u64,
}

impl ToolRegistration {
    /// Leaves the tools to the session, until it ends or [`Tools::unregister`] takes them away.
    pub fn keep(mut self) {
        self.session = Weak::new();
    }

    /// Takes the tools away. The same as dropping it.
    pub fn unregister(self) {}
}

impl Drop for ToolRegistration {
    fn drop(&mut self) {
        if let Some(session) = self.session.upgrade() {
            session.tools().release(self.number);
        }
    }
}

impl ToolLanguage {
    /// Whether it runs in this process.
    #[must_use]
    pub fn is_rust(&self) -> bool {
        *self == Self::Rust
    }
}
