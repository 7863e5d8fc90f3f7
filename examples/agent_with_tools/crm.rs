//! The shop's records, and what an agent may do with them.

use std::sync::{Mutex, PoisonError};

use dspex::prelude::*;
use serde::Deserialize;

/// Everything that the shop knows.
#[derive(Deserialize)]
pub struct Crm {
    customers: Vec<Customer>,
    invoices: Vec<Invoice>,
    tickets: Vec<Ticket>,
}

#[derive(FieldType, Debug, Clone, Copy, PartialEq)]
pub enum Region {
    Africa,
    Americas,
    Asia,
    Europe,
}

#[derive(FieldType, Debug, Clone, Copy, PartialEq)]
pub enum Tier {
    Free,
    Team,
    Enterprise,
}

#[derive(FieldType, Debug, Clone)]
pub struct Customer {
    pub id: String,
    pub company: String,
    contact: String,
    email: String,
    region: Region,
    tier: Tier,
    seats: u32,
}

#[derive(FieldType, Debug, Clone, Copy, PartialEq)]
pub enum Status {
    Open,
    Paid,
}

#[derive(FieldType, Debug, Clone)]
pub struct Invoice {
    pub number: String,
    /// The customer's id.
    pub customer: String,
    issued: String,
    /// The last day to pay, as YYYY-MM-DD.
    pub due: String,
    pub amount: f64,
    pub status: Status,
}

#[derive(FieldType, Debug, Clone, Copy)]
enum Topic {
    Billing,
    Question,
    Technical,
}

#[derive(FieldType, Debug, Clone)]
pub struct Ticket {
    pub id: String,
    customer: String,
    /// The invoice that it is about, if it is about one.
    pub invoice: Option<String>,
    topic: Topic,
    pub open: bool,
    text: String,
}

/// Which customers are meant.
#[derive(FieldType, Debug)]
pub struct Who {
    /// Any of these regions; none means all.
    regions: Vec<Region>,
    tier: Option<Tier>,
}

impl Crm {
    /// The records that come with the example.
    pub fn load() -> serde_json::Result<Self> {
        serde_json::from_str(include_str!("../data/crm.json"))
    }

    fn dispute(&self, invoice: &str) -> Option<&Ticket> {
        self.tickets.iter().find(|ticket| ticket.open && ticket.invoice.as_deref() == Some(invoice))
    }
}

/// Customers by region and plan.
#[dspex_tool(read_only)]
pub async fn find_customers(
    #[ctx] crm: State<Crm>,
    who: Who,
    /// The most that are listed.
    #[tool(default = 20, range(1..=100))]
    limit: usize,
) -> Vec<Customer> {
    let meant = |customer: &&Customer| {
        (who.regions.is_empty() || who.regions.contains(&customer.region))
            && who.tier.is_none_or(|tier| tier == customer.tier)
    };
    crm.customers.iter().filter(meant).take(limit).cloned().collect()
}

/// Invoices that should have been paid before a day and were not.
#[dspex_tool(read_only)]
pub async fn overdue_invoices(
    #[ctx] crm: State<Crm>,
    /// The ids of customers.
    customers: Vec<String>,
    /// As YYYY-MM-DD.
    day: String,
) -> Result<Vec<Invoice>, ToolError> {
    if let Some(unknown) = customers.iter().find(|id| !crm.customers.iter().any(|known| known.id == **id)) {
        return Err(ToolError::new(format!(
            "there is no customer {unknown}; `find_customers` tells the ids"
        )));
    }
    let overdue = |invoice: &&Invoice| invoice.status == Status::Open && invoice.due < day;
    let theirs = crm.invoices.iter().filter(|invoice| customers.contains(&invoice.customer));
    Ok(theirs.filter(overdue).cloned().collect())
}

/// A support ticket by its number.
#[dspex_tool(read_only)]
pub async fn ticket(#[ctx] crm: State<Crm>, number: String) -> Result<Ticket, String> {
    let found = crm.tickets.iter().find(|ticket| ticket.id == number);
    found.cloned().ok_or(format!("there is no ticket {number}"))
}

#[derive(FieldType, Debug, Clone, Copy)]
pub enum Tone {
    Friendly,
    Firm,
}

/// What goes out to customers. It keeps what it sent.
#[derive(Default)]
pub struct Billing {
    sent: Mutex<Vec<String>>,
}

#[dspex_tools]
impl Billing {
    /// Sends a reminder for each of these invoices, or none at all if one of them is disputed.
    #[dspex_tool(timeout = "5s", concurrency = 1)]
    async fn remind(
        &self,
        #[ctx] crm: State<Crm>,
        invoices: Vec<String>,
        tone: Tone,
        /// A line of the accountant's own, before the signature.
        note: Option<String>,
    ) -> Result<usize, ToolError> {
        if let Some(ticket) = invoices.iter().find_map(|invoice| crm.dispute(invoice)) {
            let problem = format!("nothing was sent: an invoice is disputed in the ticket {}", ticket.id);
            return Err(ToolError::new(problem));
        }
        let letters = invoices.iter().map(|invoice| {
            let note = note.as_deref().unwrap_or("Thank you!");
            match tone {
                Tone::Friendly => format!("{invoice}: may we remind you of this invoice? {note}"),
                Tone::Firm => format!("{invoice}: please pay this invoice within a week. {note}"),
            }
        });
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).extend(letters);
        Ok(invoices.len())
    }

    /// Adds amounts to the cent.
    #[dspex_tool(read_only)]
    fn sum(&self, amounts: Vec<f64>) -> f64 {
        (amounts.iter().sum::<f64>() * 100.0).round() / 100.0
    }

    /// The letters so far.
    pub fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
