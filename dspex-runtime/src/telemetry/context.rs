//! W3C trace context: which trace a call belongs to.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// More members, or more characters, than other systems have to take.
const MAX_STATE: (usize, usize) = (32, 512);

/// Where in which trace something happens, as [W3C trace context](https://www.w3.org/TR/trace-context/) names it.
///
/// Programs that trace with OpenTelemetry need none: with the feature `otel`, calls continue the trace of the current span. For all
/// others, this is what an HTTP server takes from the headers `traceparent` and `tracestate` of a request and gives to the calls that
/// it makes for it: [`Run::trace`](crate::Run::trace), [`Dspex::traced`](crate::Dspex::traced),
/// [`Session::traced`](crate::Session::traced).
///
/// ```
/// use dspex_runtime::TraceContext;
///
/// let trace: TraceContext = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse()?;
/// assert_eq!(trace.trace_id(), "0af7651916cd43dd8448eb211c80319c");
/// assert!(trace.is_sampled());
/// # Ok::<(), dspex_runtime::InvalidTraceContext>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    flags: u8,
    state: Option<Arc<str>>,
}

/// A `traceparent` that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} is no traceparent: it has the form 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, in lower case, and neither id is 0"
)]
pub struct InvalidTraceContext {
    /// Its beginning.
    found: String,
}

impl TraceContext {
    /// Reads the two headers. A `tracestate` that breaks the rules is left out, as the standard says; an empty one is none.
    ///
    /// # Errors
    ///
    /// For a `traceparent` that breaks them: then the caller is in no trace that could be continued.
    pub fn parse(traceparent: &str, tracestate: &str) -> Result<Self, InvalidTraceContext> {
        let context = parse(traceparent.trim_matches([' ', '\t']));
        let mut context =
            context.ok_or_else(|| InvalidTraceContext { found: traceparent.chars().take(64).collect() })?;
        let state = tracestate.trim_matches([' ', '\t']);
        context.state = is_state(state).then(|| state.into());
        Ok(context)
    }

    /// A span of a new trace that nobody knows yet.
    pub(crate) fn new_root() -> Self {
        let trace = uuid::Uuid::new_v4().as_u128();
        Self { trace, span: new_span(), flags: 1, state: None }
    }

    /// Another span of the same trace.
    pub(crate) fn child(&self) -> Self {
        Self { span: new_span(), ..self.clone() }
    }

    /// What the bridge to OpenTelemetry has at hand. None where an id is 0.
    #[cfg(feature = "otel")]
    pub(crate) fn of_parts(trace: u128, span: u64, flags: u8, state: &str) -> Option<Self> {
        let state = is_state(state).then(|| state.into());
        (trace != 0 && span != 0).then_some(Self { trace, span, flags, state })
    }

    /// The trace's id, 16 bytes.
    #[cfg(feature = "otel")]
    pub(crate) fn trace_number(&self) -> u128 {
        self.trace
    }

    /// The span's id, 8 bytes.
    #[cfg(feature = "otel")]
    pub(crate) fn span_number(&self) -> u64 {
        self.span
    }

    /// The flags of the standard's version 00.
    #[cfg(feature = "otel")]
    pub(crate) fn flags(&self) -> u8 {
        self.flags
    }

    /// The trace's id: 32 lower-case hex digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The span's id: 16 lower-case hex digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// Whether the caller may have recorded its part of the trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The header `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> String {
        self.to_string()
    }

    /// The header `tracestate`; empty for none.
    #[must_use]
    pub fn tracestate(&self) -> &str {
        self.state.as_deref().unwrap_or_default()
    }

    /// Where the running task is: in a tool, a metric, a reward or a language model of this program, what the call is traced as that asks for it.
    /// None outside of them, and where nobody traces.
    #[must_use]
    pub fn current() -> Option<Self> {
        crate::tool::Standing::here().trace.map(|traced| traced.context)
    }
}

fn new_span() -> u64 {
    // The high half of a random UUID has fixed bits, so it is never 0.
    uuid::Uuid::new_v4().as_u64_pair().0
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceContext({self})")
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceContext;

    fn from_str(traceparent: &str) -> Result<Self, Self::Err> {
        Self::parse(traceparent, "")
    }
}

fn parse(text: &str) -> Option<TraceContext> {
    let hex = |part: &str, digits: usize| {
        let fits = part.len() == digits
            && part.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
        fits.then(|| u128::from_str_radix(part, 16).ok()).flatten()
    };
    let mut parts = text.splitn(5, '-');
    let version = hex(parts.next()?, 2)?;
    let trace = hex(parts.next()?, 32).filter(|id| *id != 0)?;
    let span = u64::try_from(hex(parts.next()?, 16)?).ok().filter(|id| *id != 0)?;
    let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
    // A later version may say more, after another dash. Version ff is forbidden.
    if version == 0xff || (version == 0 && parts.next().is_some()) {
        return None;
    }
    // What later versions add to the flags means nothing here.
    Some(TraceContext { trace, span, flags: flags & 0b11, state: None })
}

/// Whether it is a list of `key=value` as the standard has them, and not empty.
fn is_state(text: &str) -> bool {
    let members = || text.split(',').map(|member| member.trim_matches([' ', '\t']));
    !text.is_empty()
        && text.len() <= MAX_STATE.1
        && members().count() <= MAX_STATE.0
        && members().all(|member| member.is_empty() || is_member(member))
}

fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let of_key = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let of_value = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b',' && byte != b'=';
    let starts = key.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    starts
        && key.len() <= 256
        && key.bytes().all(of_key)
        && !value.is_empty()
        && value.len() <= 256
        && value.bytes().all(of_value)
        && !value.ends_with(' ')
}

/// A trace that a call continues, and how it is known.
#[derive(Clone, Debug)]
pub(crate) struct Traced {
    pub(crate) context: TraceContext,
    /// The program named it, so it counts more than what the task is in.
    pub(crate) given: bool,
}

impl Traced {
    /// The program named it.
    pub(crate) fn given(context: TraceContext) -> Self {
        Self { context, given: true }
    }

    /// A call above is in it.
    pub(crate) fn within(context: TraceContext) -> Self {
        Self { context, given: false }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_written_as_it_was_read() {
        let context = TraceContext::parse(GOOD, "congo=t61rcWkgMzE,rojo@x=00f0").unwrap();
        assert_eq!(context.traceparent(), GOOD);
        assert_eq!(context.tracestate(), "congo=t61rcWkgMzE,rojo@x=00f0");
        assert_eq!(context.span_id(), "b7ad6b7169203331");
        assert!(context.is_sampled());
        assert!(
            !"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
                .parse::<TraceContext>()
                .unwrap()
                .is_sampled()
        );
    }

    #[test]
    fn what_breaks_the_rules_is_no_traceparent() {
        let bad = [
            "",
            "00",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        ];
        for text in bad {
            let error = text.parse::<TraceContext>().unwrap_err().to_string();
            assert!(error.contains("is no traceparent"), "{text}: {error}");
        }
    }

    #[test]
    fn a_later_version_may_say_more() {
        let later = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-what.comes";
        assert_eq!(later.parse::<TraceContext>().unwrap().traceparent(), GOOD.replace("-01", "-03"));
    }

    #[test]
    fn a_bad_tracestate_is_left_out_and_the_trace_goes_on() {
        let many = (0..33).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        for bad in ["nothing", "=x", "K=v", "k=v=w", "k=\u{7f}", &many, &format!("k={}", "v".repeat(257))] {
            assert_eq!(TraceContext::parse(GOOD, bad).unwrap().tracestate(), "", "{bad}");
        }
    }

    #[test]
    fn a_new_root_and_its_children_share_the_trace_and_no_span() {
        let root = TraceContext::new_root();
        let child = root.child();
        assert_eq!(root.trace_id(), child.trace_id());
        assert_ne!(root.span_id(), child.span_id());
        assert_eq!(child.traceparent().parse::<TraceContext>().unwrap(), child);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(parent in ".{0,80}", state in ".{0,80}") {
            if let Ok(context) = TraceContext::parse(&parent, &state) {
                prop_assert_eq!(context.traceparent().parse::<TraceContext>().unwrap().trace_id(), context.trace_id());
            }
        }
    }
}
