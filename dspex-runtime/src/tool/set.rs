//! Several tools in order.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;

use super::context::States;
use super::{Requirement, Tool, ToolSpec};

/// Tools in order, with the states that they were given. `tools![plan_of, billing::refund]` makes one.
///
/// Cheap to clone; clones share the limits of their tools.
#[derive(Clone, Debug, Default)]
pub struct ToolSet {
    tools: Vec<Arc<Entry>>,
    /// Given to the tools that are there, and kept for those to come.
    states: States,
}

/// One tool of a set.
pub(crate) struct Entry {
    pub(crate) tool: Arc<dyn Tool>,
    pub(crate) limit: Option<Arc<Semaphore>>,
    /// Its own, which come before the program's.
    pub(crate) states: States,
    identity: Identity,
}

/// What makes two tools the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Identity {
    /// A function has one type and no content.
    Type(TypeId),
    /// A method of an object, which lives as long as the tool.
    Method(TypeId, usize),
    Object(usize),
}

/// Why tools cannot be together, or be registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToolSetError {
    /// Two different tools have one name.
    #[error(
        "two different tools are called `{0}`; give one of them another name: `#[dspex_tool(name = \"..\")]`"
    )]
    Duplicate(String),
    /// One tool was given different values of one state, and only one of them could be told from the name.
    #[error(
        "the tool `{0}` is there already with other states; give both the same ones, as a clone of its set has them, or make two tools of it \
         with names of their own"
    )]
    OtherStates(String),
    /// There is nothing to register.
    #[error("the set of tools is empty; name at least one: `tools![my_tool]`")]
    Empty,
    /// A tool cannot be used at all.
    #[error("the tool `{tool}` cannot be used: {problem}")]
    Unusable {
        /// The tool's name.
        tool: String,
        /// Why.
        problem: String,
    },
    /// A state that a tool takes was not given.
    #[error(
        "the tool `{tool}` takes `State<{state}>`, which was not given; add `Dspex::builder().state(..)` or `tools![..].state(..)`"
    )]
    MissingState {
        /// The tool's name.
        tool: String,
        /// The state's type.
        state: String,
    },
    /// A tool takes the session of its call, and is where calls have none.
    #[error(
        "the tool `{0}` takes a `Session`, and there is none here; make the call in one: `dspex.session()`"
    )]
    MissingSession(String),
}

impl Entry {
    fn new<T: Tool>(tool: T) -> Self {
        let identity = match tool.object() {
            Some(object) => Some(Identity::Method(TypeId::of::<T>(), object)),
            None if size_of::<T>() == 0 => Some(Identity::Type(TypeId::of::<T>())),
            None => None,
        };
        let mut entry = Self::shared(Arc::new(tool));
        if let Some(identity) = identity {
            entry.identity = identity;
            entry.limit = entry.tool.spec().concurrency().map(|runs| limit_of(identity, runs));
        }
        entry
    }

    fn shared(tool: Arc<dyn Tool>) -> Self {
        let identity = Identity::Object(Arc::as_ptr(&tool).cast::<()>().addr());
        let limit = tool.spec().concurrency().map(|runs| Arc::new(Semaphore::new(runs)));
        Self { tool, limit, states: States::default(), identity }
    }

    /// The same tool with these states.
    fn with_states(&self, states: States) -> Arc<Self> {
        let (tool, limit, identity) = (self.tool.clone(), self.limit.clone(), self.identity);
        Arc::new(Self { tool, limit, states, identity })
    }

    pub(crate) fn name(&self) -> &str {
        self.tool.spec().name()
    }

    /// Whether it can be a tool at all.
    fn usable(&self) -> Result<(), ToolSetError> {
        match self.tool.spec().problem() {
            None => Ok(()),
            Some(problem) => {
                Err(ToolSetError::Unusable { tool: self.name().to_owned(), problem: problem.to_owned() })
            }
        }
    }

    /// Whether both are the same tool, whatever their states are.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// Whether both are the same tool with the same states, so that either can run in place of the other.
    pub(crate) fn is_just(&self, other: &Self) -> bool {
        self.is(other) && self.states.are(&other.states)
    }

    /// Why both cannot have one name; nothing if either can run in place of the other.
    pub(crate) fn clash(&self, other: &Self) -> Option<ToolSetError> {
        let name = || self.name().to_owned();
        match self.is(other) {
            true if self.states.are(&other.states) => None,
            true => Some(ToolSetError::OtherStates(name())),
            false => Some(ToolSetError::Duplicate(name())),
        }
    }
}

/// The limit of a function or method, which all sets share that it is in.
fn limit_of(tool: Identity, runs: usize) -> Arc<Semaphore> {
    static LIMITS: Mutex<Option<HashMap<Identity, Weak<Semaphore>>>> = Mutex::new(None);
    let mut limits = LIMITS.lock().unwrap_or_else(PoisonError::into_inner);
    let limits = limits.get_or_insert_default();
    if let Some(limit) = limits.get(&tool).and_then(Weak::upgrade) {
        return limit;
    }
    // An object's address can be another's once its tools are gone, and then their limits are too.
    limits.retain(|_, limit| limit.strong_count() > 0);
    let limit = Arc::new(Semaphore::new(runs));
    limits.insert(tool, Arc::downgrade(&limit));
    limit
}

/// That a tool can be used at all, and finds what it needs, where it runs: a session, its own states or the program's.
pub(crate) fn check_requirements(
    entry: &Entry,
    program: &States,
    has_session: bool,
) -> Result<(), ToolSetError> {
    entry.usable()?;
    for requirement in entry.tool.requirements() {
        let tool = || entry.name().to_owned();
        match requirement {
            Requirement::State { type_id, type_name }
                if !entry.states.has(type_id) && !program.has(type_id) =>
            {
                return Err(ToolSetError::MissingState { tool: tool(), state: type_name.to_owned() });
            }
            Requirement::Session if !has_session => return Err(ToolSetError::MissingSession(tool())),
            Requirement::State { .. } | Requirement::Session => {}
        }
    }
    Ok(())
}

impl ToolSet {
    /// No tools yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tool. One that is there already is not added twice.
    ///
    /// # Errors
    ///
    /// [`ToolSetError::Duplicate`] if there is another tool of its name, [`ToolSetError::Unusable`] if it cannot be a tool.
    pub fn with(self, tool: impl Tool) -> Result<Self, ToolSetError> {
        let entry = Entry::new(tool).with_states(self.states.clone());
        self.add(entry)
    }

    /// The same for a tool behind a pointer.
    ///
    /// # Errors
    ///
    /// As [`with`](Self::with).
    pub fn with_shared(self, tool: Arc<dyn Tool>) -> Result<Self, ToolSetError> {
        let entry = Entry::shared(tool).with_states(self.states.clone());
        self.add(entry)
    }

    /// Adds a tool whose name was compared with the others' while compiling. What is wrong with it otherwise is told
    /// where the set is used.
    pub(super) fn with_declared(mut self, tool: impl Tool) -> Self {
        let entry = Entry::new(tool);
        if !self.tools.iter().any(|there| there.is(&entry)) {
            self.tools.push(entry.with_states(self.states.clone()));
        }
        self
    }

    /// Adds the tools of another set, after those that are there. Each keeps the states that it was given, and has the other set's
    /// states of other types beside them.
    ///
    /// # Errors
    ///
    /// As [`with`](Self::with), and [`ToolSetError::OtherStates`] if a tool is in both with different values of one state.
    pub fn and(self, other: impl IntoToolSet) -> Result<Self, ToolSetError> {
        let other = other.into_tool_set()?;
        let beside = |tools: Vec<Arc<Entry>>, states: &States| -> Vec<Arc<Entry>> {
            tools.iter().map(|entry| entry.with_states(states.with(&entry.states))).collect()
        };
        let all = Self { tools: beside(self.tools, &other.states), states: self.states.with(&other.states) };
        beside(other.tools, &self.states).into_iter().try_fold(all, Self::add)
    }

    /// Gives the tools of this set a state, which those that take a `State<T>` share: those that are there, in place of one of
    /// the same type, and those that are added to it.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(mut self, state: T) -> Self {
        let mut given = States::default();
        given.insert(state);
        self.tools = self.tools.iter().map(|entry| entry.with_states(entry.states.with(&given))).collect();
        self.states = self.states.with(&given);
        self
    }

    /// The tools, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Tool>> {
        self.tools.iter().map(|entry| &entry.tool)
    }

    /// What is told of them, in order.
    pub fn specs(&self) -> impl Iterator<Item = &ToolSpec> {
        self.tools.iter().map(|entry| entry.tool.spec())
    }

    /// The tool of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.entry(name).map(|entry| &entry.tool)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tools.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    pub(crate) fn of_entries(tools: Vec<Arc<Entry>>) -> Self {
        Self { tools, states: States::default() }
    }

    pub(crate) fn entries(&self) -> &[Arc<Entry>] {
        &self.tools
    }

    pub(crate) fn entry(&self, name: &str) -> Option<&Arc<Entry>> {
        self.tools.iter().find(|entry| entry.name() == name)
    }

    /// That each tool can run as [`execute`](Self::execute) has it run: by itself, outside of a session, with no states but those
    /// of the set. Servers of their own ask this before they serve.
    ///
    /// # Errors
    ///
    /// [`ToolSetError::Unusable`], [`ToolSetError::MissingState`] or [`ToolSetError::MissingSession`].
    pub fn check(&self) -> Result<(), ToolSetError> {
        self.check_in(&States::default(), false)
    }

    /// The same for where there are other states too, and perhaps a session.
    pub(crate) fn check_in(&self, program: &States, has_session: bool) -> Result<(), ToolSetError> {
        self.tools.iter().try_for_each(|entry| check_requirements(entry, program, has_session))
    }

    fn add(mut self, entry: Arc<Entry>) -> Result<Self, ToolSetError> {
        entry.usable()?;
        match self.entry(entry.name()).map(|there| there.clash(&entry)) {
            Some(Some(clash)) => return Err(clash),
            Some(None) => {}
            None => self.tools.push(entry),
        }
        Ok(self)
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What can be given as tools: a set, one tool, or the result of putting sets together.
pub trait IntoToolSet {
    /// The set.
    ///
    /// # Errors
    ///
    /// What is wrong with the tools.
    fn into_tool_set(self) -> Result<ToolSet, ToolSetError>;
}

impl IntoToolSet for ToolSet {
    fn into_tool_set(self) -> Result<ToolSet, ToolSetError> {
        Ok(self)
    }
}

impl IntoToolSet for &ToolSet {
    fn into_tool_set(self) -> Result<ToolSet, ToolSetError> {
        Ok(self.clone())
    }
}

impl IntoToolSet for Result<ToolSet, ToolSetError> {
    fn into_tool_set(self) -> Result<ToolSet, ToolSetError> {
        self
    }
}

impl<T: Tool> IntoToolSet for T {
    fn into_tool_set(self) -> Result<ToolSet, ToolSetError> {
        ToolSet::new().with(self)
    }
}

#[cfg(test)]
mod tests {
    use futures::future::BoxFuture;

    use super::*;
    use crate::tool::{ToolArguments, ToolContext, ToolError, ToolOutput};

    /// A tool by its spec; a method of an object, as `#[dspex_tools]` writes one, if it has any.
    struct Written(Option<Arc<u8>>, ToolSpec);

    impl Written {
        fn method_of(object: &Arc<u8>, name: &str) -> Self {
            Self(Some(object.clone()), ToolSpec::builder(name, "A method.").concurrency(2).build())
        }
    }

    impl Tool for Written {
        fn spec(&self) -> &ToolSpec {
            &self.1
        }

        fn call(
            &self,
            _: ToolContext,
            _: ToolArguments,
        ) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
            Box::pin(async { ToolOutput::new(&()) })
        }

        fn object(&self) -> Option<usize> {
            self.0.as_ref().map(|object| Arc::as_ptr(object).addr())
        }
    }

    fn method(object: &Arc<u8>) -> Written {
        Written::method_of(object, "method")
    }

    #[test]
    fn a_method_of_one_object_is_one_tool_with_one_limit() {
        let (one, other) = (Arc::new(1), Arc::new(1));
        let [first, again, another] = [&one, &one, &other].map(|object| Entry::new(method(object)));
        assert!(first.is(&again) && !first.is(&another));
        let limit = |entry: &Entry| entry.limit.clone().unwrap();
        assert!(Arc::ptr_eq(&limit(&first), &limit(&again)));
        assert!(!Arc::ptr_eq(&limit(&first), &limit(&another)));
    }

    #[test]
    fn each_tool_keeps_the_states_of_the_set_that_it_comes_from() {
        let objects = [Arc::new(1), Arc::new(1)];
        let one = ToolSet::new().state(1_u8).with(Written::method_of(&objects[0], "one")).unwrap();
        let two = ToolSet::new().with(Written::method_of(&objects[1], "two")).unwrap().state(2_u8).state('x');
        let all = one.clone().and(&two).unwrap().with(Written::method_of(&Arc::new(1), "three")).unwrap();
        let states = |name: &str| all.entry(name).unwrap().states.clone();
        let number = |name: &str| *states(name).get::<u8>().unwrap();
        assert_eq!([number("one"), number("two"), number("three")], [1, 2, 2]);
        assert_eq!(*states("one").get::<char>().unwrap(), 'x');
        assert_eq!(one.clone().and(&one).unwrap().len(), 1);
    }

    #[test]
    fn one_tool_with_two_values_of_a_state_clashes_with_itself() {
        let object = Arc::new(1);
        let set = ToolSet::new().with(method(&object)).unwrap();
        let error = set.clone().state(1_u8).and(set.clone().state(2_u8)).unwrap_err();
        assert_eq!(error, ToolSetError::OtherStates("method".to_owned()));
        assert!(error.to_string().contains("`method` is there already with other states"), "{error}");
        assert_eq!(set.clone().state(1_u8).and(set).unwrap().len(), 1);
    }

    #[test]
    fn the_limit_of_a_tool_that_is_gone_goes_with_it() {
        let object = Arc::new(1);
        let limit = Arc::downgrade(Entry::new(method(&object)).limit.as_ref().unwrap());
        assert!(limit.upgrade().is_none());
        assert_eq!(Entry::new(method(&object)).limit.unwrap().available_permits(), 2);
    }

    #[test]
    fn what_is_wrong_with_a_declared_tool_is_told_where_it_is_used() {
        let broken = || Written(None, ToolSpec::builder("no name", "Cannot be told.").build());
        let refused = |error| matches!(error, ToolSetError::Unusable { tool, .. } if tool == "no name");
        assert!(refused(ToolSet::new().with(broken()).unwrap_err()));
        let set = ToolSet::new().with_declared(broken());
        assert!(refused(set.check().unwrap_err()));
        assert!(refused(ToolSet::new().and(set).unwrap_err()));
    }
}
