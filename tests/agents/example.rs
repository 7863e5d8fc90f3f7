//! The example `agent_with_tools`: its answer is right.

#[path = "../../examples/agent_with_tools/clerk.rs"]
mod clerk;
#[path = "../../examples/agent_with_tools/crm.rs"]
mod crm;
#[path = "../../examples/agent_with_tools/stand_in.rs"]
mod stand_in;

use crate::*;

/// What the records themselves say: the invoices of these customers that are due before a day and open, without the disputed.
fn expected(tier: &str, region: &str, day: &str) -> (Vec<clerk::Reminder>, Vec<String>) {
    let records: Value = serde_json::from_str(include_str!("../../examples/data/crm.json")).unwrap();
    let rows = |of: &str| records[of].as_array().unwrap().clone();
    let (mut reminders, mut left_out) = (Vec::new(), Vec::new());
    for customer in rows("customers").iter().filter(|row| row["tier"] == tier && row["region"] == region) {
        let mut reminder =
            clerk::Reminder { company: text(&customer["company"]), invoices: Vec::new(), amount: 0.0 };
        for invoice in rows("invoices").iter().filter(|row| row["customer"] == customer["id"]) {
            if invoice["status"] != "Open" || text(&invoice["due"]).as_str() >= day {
                continue;
            }
            let number = text(&invoice["number"]);
            if rows("tickets").iter().any(|row| row["open"] == true && row["invoice"] == invoice["number"]) {
                left_out.push(number);
            } else {
                reminder.invoices.push(number);
                reminder.amount += invoice["amount"].as_f64().unwrap();
            }
        }
        reminders.extend((!reminder.invoices.is_empty()).then_some(reminder));
    }
    (reminders, left_out)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn outcome(request: &str) -> (clerk::ClerkOutputs, Vec<String>) {
    let state = crm::Crm::load().unwrap();
    let dspex =
        Dspex::builder().workers(1).lm(Lm::host(stand_in::Planner)).state(state).start().await.unwrap();
    let billing = Arc::new(crm::Billing::default());
    (clerk::work(&dspex, &billing, request).await.unwrap(), billing.sent())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_recovers_from_a_refusal_and_answers_what_the_records_say() {
    let request = "Today is 2026-11-20. Remind our Team customers in Europe, in a Friendly tone.";
    let (outcome, sent) = outcome(request).await;
    let (reminders, left_out) = expected("Team", "Europe", "2026-11-20");
    assert!(reminders.len() > 2 && left_out.len() == 1, "the records say too little");
    assert_eq!(outcome.reminders, reminders);
    assert_eq!(outcome.total, reminders.iter().map(|reminder| reminder.amount).sum::<f64>());
    assert_eq!(outcome.left_out, left_out);
    let numbers: Vec<&String> = reminders.iter().flat_map(|reminder| &reminder.invoices).collect();
    assert_eq!(sent.len(), numbers.len());
    assert!(numbers.iter().all(|number| sent.iter().any(|letter| letter.starts_with(*number))), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_stand_in_answers_another_request_as_well() {
    let request = "Today is 2026-11-20. Send Firm reminders to our Team customers in Americas.";
    let (outcome, sent) = outcome(request).await;
    let (reminders, left_out) = expected("Team", "Americas", "2026-11-20");
    assert_eq!((outcome.reminders, outcome.left_out), (reminders, left_out));
    assert!(sent.iter().all(|letter| letter.contains("within a week")), "{sent:?}");
}
