//! A model for when there is no other: it follows a plan. It knows the tools, but none of the records: what it gives to a tool, and
//! what it answers, comes from the request and from what the tools told it, as they stand in DSPy's prompt.

use dspex::prelude::*;
use serde_json::{Value, json};

/// The stand-in.
pub struct Planner;

impl LanguageModel for Planner {
    fn name(&self) -> String {
        "example/planner".to_owned()
    }

    async fn complete(&self, request: LmRequest) -> Result<LmResponse, LmError> {
        let prompt = Prompt(request.last_user_text());
        let answer = if prompt.asks_for("next_tool_name") { prompt.next_step() } else { prompt.outcome() };
        let fields = answer.ok_or_else(|| LmError::invalid_request("the plan does not fit the prompt"))?;
        // The form that DSPy's chat adapter asks for.
        let sections = fields.as_object().into_iter().flatten().map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("[[ ## {name} ## ]]\n{text}\n\n")
        });
        Ok(LmResponse::text(sections.collect::<String>() + "[[ ## completed ## ]]"))
    }
}

/// What DSPy asks: sections of the request and of what happened so far, and the fields that it wants.
struct Prompt(String);

impl Prompt {
    fn asks_for(&self, field: &str) -> bool {
        let asked = self.0.rsplit("Respond with the corresponding output fields").next();
        asked.is_some_and(|asked| asked.contains(field))
    }

    fn section(&self, name: &str) -> Option<&str> {
        let (_, after) = self.0.split_once(&format!("[[ ## {name} ## ]]\n"))?;
        after.split("\n\n").next()
    }

    /// What the newest run of a tool told.
    fn told(&self, tool: &str) -> Option<&str> {
        let steps = (0..).map_while(|step| Some((step, self.section(&format!("tool_name_{step}"))?)));
        let (step, _) = steps.filter(|(_, name)| *name == tool).last()?;
        self.section(&format!("observation_{step}"))
    }

    /// The objects of a list: DSPy writes each between marks.
    fn list(&self, tool: &str) -> Option<Vec<Value>> {
        let items = self.told(tool)?.split('«').skip(1).filter_map(|item| item.split_once('»'));
        items.map(|(item, _)| serde_json::from_str(item).ok()).collect()
    }

    fn object(&self, tool: &str) -> Option<Value> {
        serde_json::from_str(self.told(tool)?).ok()
    }

    /// The words of the request that are among these.
    fn words<'a>(&'a self, known: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let request = self.section("request").unwrap_or_default();
        let words = request.split(|c: char| !c.is_alphanumeric() && c != '-');
        words.filter(move |word| known.is_empty() || known.contains(word))
    }

    /// The day of the request.
    fn day(&self) -> Option<&str> {
        self.words(&[]).find(|word| word.len() == 10 && word.split('-').count() == 3)
    }

    /// The invoice that a dispute is about, once there was one.
    fn disputed(&self) -> Option<Value> {
        self.object("ticket").map(|ticket| ticket["invoice"].clone())
    }

    /// What is to be reminded of.
    fn overdue(&self) -> Option<Vec<Value>> {
        let disputed = self.disputed();
        let invoices = self.list("overdue_invoices")?.into_iter();
        Some(invoices.filter(|invoice| disputed.as_ref() != Some(&invoice["number"])).collect())
    }

    fn next_step(&self) -> Option<Value> {
        let step = |thought: &str, tool: &str, arguments: Value| {
            Some(json!({"next_thought": thought, "next_tool_name": tool, "next_tool_args": arguments}))
        };
        let Some(customers) = self.list("find_customers") else {
            let regions: Vec<&str> = self.words(&["Africa", "Americas", "Asia", "Europe"]).collect();
            let tier = self.words(&["Free", "Team", "Enterprise"]).next();
            let who = json!({"regions": regions, "tier": tier});
            return step("First I need the customers.", "find_customers", json!({"who": who}));
        };
        let Some(invoices) = self.overdue() else {
            let arguments = json!({"customers": each(&customers, "id"), "day": self.day()?});
            return step("Now what they have not paid.", "overdue_invoices", arguments);
        };
        let refused = self.object("remind").and_then(|told| told["error"].as_str().map(str::to_owned));
        if let (Some(problem), None) = (&refused, self.disputed()) {
            let number = problem.split_whitespace().last()?;
            return step("An invoice is disputed. Which one?", "ticket", json!({"number": number}));
        }
        if self.told("remind").is_none() || refused.is_some() {
            let tone = self.words(&["Friendly", "Firm"]).next()?;
            let arguments = json!({"invoices": each(&invoices, "number"), "tone": tone});
            return step("Time for the reminders.", "remind", arguments);
        }
        if self.told("sum").is_none() {
            let arguments = json!({"amounts": each(&invoices, "amount")});
            return step("They are out. What do they come to?", "sum", arguments);
        }
        step("That is all.", "finish", json!({}))
    }

    fn outcome(&self) -> Option<Value> {
        let (invoices, total) = (self.overdue()?, self.object("sum")?);
        let reminders = self.list("find_customers")?.into_iter().filter_map(|customer| {
            let theirs: Vec<_> = invoices.iter().filter(|each| each["customer"] == customer["id"]).cloned().collect();
            let amount: f64 = theirs.iter().filter_map(|invoice| invoice["amount"].as_f64()).sum();
            let reminder = json!({"company": customer["company"], "invoices": each(&theirs, "number"), "amount": amount});
            (!theirs.is_empty()).then_some(reminder)
        });
        let reminders: Vec<Value> = reminders.collect();
        let left_out: Vec<Value> = self.disputed().into_iter().collect();
        let summary = format!("Reminded {} customers of {} invoices.", reminders.len(), invoices.len());
        let reasoning = "The tools told everything.";
        Some(json!({
            "reasoning": reasoning, "reminders": reminders, "total": total, "left_out": left_out, "summary": summary,
        }))
    }
}

/// One field of each object.
fn each(objects: &[Value], field: &str) -> Vec<Value> {
    objects.iter().map(|object| object[field].clone()).collect()
}
