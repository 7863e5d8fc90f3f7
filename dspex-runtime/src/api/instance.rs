//! Typed instances, and the one way in which a typed call runs.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::call_settings::call_settings;
use super::caller::{CallContext, CallOptions, Caller, decode, encode, encode_document};
use super::session::Instances;
use super::steering::{Binding, Steering};
use super::{CallStream, InstanceSpec, Module, Prediction, Session};
use crate::bridge::{Spec, Target};
use crate::error::{Error, Problem, Problems, Result};
use crate::functions::Reward;

/// An instance of a DSPy module in a session.
///
/// It is data, a spec that any worker can build in milliseconds, so the loss of a worker does not touch it, and
/// many calls may run on it at once. Cheap to clone.
///
/// ```no_run
/// # use std::time::Duration;
/// # use dspex_runtime::{Instance, Module, Result};
/// # async fn run<M: Module<Inputs = String>>(triage: Instance<M>) -> Result<()> {
/// let outputs = triage.execute("The checkout is down".into()).await?;
/// let prediction = triage.run("The checkout is down".into()).deadline(Duration::from_secs(20)).await?;
/// println!("{} tokens", prediction.usage().total_tokens());
/// # Ok(()) }
/// ```
pub struct Instance<M> {
    session: Session,
    spec: Arc<Spec>,
    steering: Arc<Steering>,
    pool: Option<Arc<str>>,
    module: PhantomData<fn() -> M>,
}

impl<M: Module> Instance<M> {
    pub(crate) fn new(session: Session, spec: Arc<Spec>, steering: Arc<Steering>) -> Self {
        Self { session, spec, steering, pool: None, module: PhantomData }
    }

    /// Calls the module.
    ///
    /// # Errors
    ///
    /// Whatever the call ends with; see [`Error`](crate::Error).
    pub async fn execute(&self, inputs: M::Inputs) -> Result<M::Answer> {
        Ok(self.run(inputs).await?.into_outputs())
    }

    /// Calls the module with settings for this one call, and answers with what came along: `.await` it.
    pub fn run(&self, inputs: M::Inputs) -> Run<M> {
        let mut run = Run::new(self.session.context(), self.spec.clone(), inputs);
        run.options.steering = Some(self.steering.clone());
        run.options.takes_inputs = true;
        run.options.pool = self.pool.clone();
        run
    }

    /// The same instance, whose calls run in this pool, as far as they choose none themselves. Being data, an instance has no other
    /// bond with a pool.
    #[must_use]
    pub fn pool(mut self, name: impl Into<Arc<str>>) -> Self {
        self.pool = Some(name.into());
        self
    }

    /// Calls the module, and gives what happens meanwhile as it does: the tools that run, what they stream, the answer last.
    ///
    /// ```no_run
    /// # use dspex_runtime::{CallEvent, Instance, Module, Result};
    /// # async fn run<M: Module<Inputs = String, Answer = String>>(agent: Instance<M>) -> Result<()> {
    /// let mut events = agent.stream("Which plan has Sara?".into());
    /// while let Some(event) = events.try_next().await? {
    ///     match event {
    ///         CallEvent::ToolStart { tool, arguments, .. } => println!("{tool}({arguments})"),
    ///         CallEvent::Done(prediction) => println!("{}", prediction.outputs()),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn stream(&self, inputs: M::Inputs) -> CallStream<Prediction<M::Answer>> {
        self.run(inputs).stream()
    }

    /// The same module, called up to `n` times at temperature 1 until an attempt's reward reaches the threshold; the best attempt is
    /// the answer. This is `dspy.BestOfN`, which calls one attempt after the other.
    ///
    /// The new instance has no bindings of its own yet.
    ///
    /// # Errors
    ///
    /// As for creating an instance.
    pub async fn best_of_n(&self, n: u32, threshold: f64, reward: Reward) -> Result<Self> {
        self.attempted("dspy.BestOfN", n, threshold, reward).await
    }

    /// The same, and before each further attempt a model gives advice on how the module should do better: `dspy.Refine`. It is told
    /// what [`Reward::describe`] says.
    ///
    /// # Errors
    ///
    /// As for creating an instance.
    pub async fn refine(&self, n: u32, threshold: f64, reward: Reward) -> Result<Self> {
        self.attempted("dspy.Refine", n, threshold, reward).await
    }

    async fn attempted(&self, class: &str, n: u32, threshold: f64, reward: Reward) -> Result<Self> {
        if n == 0 {
            let expected = Some("at least 1".to_owned());
            let problem =
                Problem { field: "N".to_owned(), problem: "no attempt at all".to_owned(), expected };
            return Err(Error::InvalidInput { target: class.to_owned(), problems: Problems(vec![problem]) });
        }
        let spec = InstanceSpec::new(class)
            .module("module", self)
            .arg("N", n)
            .arg("threshold", threshold)
            .callable("reward_fn", reward)
            .into_spec()?;
        let spec = Arc::new(spec);
        self.session.context().check(&spec).await?;
        Ok(Self::new(self.session.clone(), spec, Arc::default()))
    }

    /// Has a variable of the session steer the instance's calls: the next one uses the value that the variable has then, in
    /// whichever worker it runs, and a call that runs keeps its own. All handles of the instance share its bindings.
    ///
    /// A bare name steers the input of that name, or the language model's keyword; a [`Binding`] says it in full.
    ///
    /// # Errors
    ///
    /// [`Error::Variable`](crate::Error::Variable) if there is no such variable, [`Error::Binding`](crate::Error::Binding) if it
    /// cannot steer that.
    pub async fn bind(&self, binding: impl Into<Binding>) -> Result<()> {
        self.steering.bind(binding.into(), &self.session.variables(), &self.spec).await
    }

    /// Takes all bindings of a variable back. False if there was none.
    pub fn unbind(&self, variable: &str) -> bool {
        self.steering.unbind(variable)
    }

    /// What steers the instance's calls.
    #[must_use]
    pub fn bindings(&self) -> Vec<Binding> {
        self.steering.bindings().to_vec()
    }

    /// Keeps the instance in its session under a name, with its bindings as they are now, in the place of an earlier one of
    /// that name. [`Instances::open`](crate::Instances::open) finds it again, in a later process too if the store is durable.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`](crate::Error::SessionNotFound) if the session ended, [`Error::NotKept`](crate::Error::NotKept) for one with
    /// a reward, a metric or an embedder of this program.
    pub async fn keep(&self, id: &str) -> Result<()> {
        Instances::put(&self.session, id, &self.spec, &self.steering).await
    }

    pub(crate) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Calls a method with keyword arguments.
    pub(crate) async fn call_method<T: DeserializeOwned>(
        &self,
        method: &str,
        arguments: &Value,
    ) -> Result<T> {
        let target = Target::Instance { spec: self.spec.clone(), method: method.to_owned() };
        let context = self.session.context();
        let options = CallOptions {
            steering: Some(self.steering.clone()),
            pool: self.pool.clone(),
            ..CallOptions::default()
        };
        let payload = context.run(target, encode_document(arguments)?, &options).await?;
        Ok(decode::<Returned<T>>(&payload, &self.spec.class)?.value)
    }

    /// The session that the instance belongs to.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The content address of the instance's spec: equal for equal class, signature and arguments.
    #[must_use]
    pub fn spec_hash(&self) -> &str {
        &self.spec.hash
    }
}

impl<M> Clone for Instance<M> {
    fn clone(&self) -> Self {
        Self {
            session: self.session.clone(),
            spec: self.spec.clone(),
            steering: self.steering.clone(),
            pool: self.pool.clone(),
            module: PhantomData,
        }
    }
}

impl<M> std::fmt::Debug for Instance<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("class", &self.spec.class).field("session", &self.session).finish()
    }
}

/// What a method returned: a value, or the outputs of a prediction.
#[derive(Deserialize)]
struct Returned<T> {
    #[serde(alias = "outputs")]
    value: T,
}

/// One call with its settings. It starts when it is awaited.
#[must_use = "a call starts when it is awaited"]
pub struct Run<M: Module> {
    context: CallContext,
    spec: Arc<Spec>,
    inputs: Result<Bytes>,
    options: CallOptions,
    module: PhantomData<fn() -> M>,
}

impl<M: Module> Run<M> {
    pub(crate) fn new(context: CallContext, spec: Arc<Spec>, inputs: M::Inputs) -> Self {
        let inputs = encode(&inputs);
        Self { context, spec, inputs, options: CallOptions::default(), module: PhantomData }
    }

    /// Runs the call while its events are read; see [`Instance::stream`].
    pub fn stream(mut self) -> CallStream<Prediction<M::Answer>> {
        CallStream::new(move |events| {
            self.options.events = events;
            self.finish()
        })
    }

    async fn finish(self) -> Result<Prediction<M::Answer>> {
        let class = self.spec.class.clone();
        let target = Target::Instance { spec: self.spec, method: M::definition().method.to_owned() };
        let payload = self.context.run(target, self.inputs?, &self.options).await?;
        decode::<Prediction<M::Outputs>>(&payload, &class)?.try_map(M::answer)
    }
}

call_settings!([M: Module] Run<M>);

impl<M: Module> IntoFuture for Run<M> {
    type Output = Result<Prediction<M::Answer>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.finish())
    }
}

impl<M: Module> std::fmt::Debug for Run<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("class", &self.spec.class)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
