//! The first page: what is at risk, what was saved, and whether everything that should look does.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use maud::html;

use crate::Console;
use crate::language::text;
use crate::problem::Answered;
use crate::role::Needs;
use crate::routes::{Route, look};
use crate::visit::Person;

pub const ROUTES: &[Route] = &[look("/", Needs::Look, || get(overview))];

async fn overview(State(console): State<Arc<Console>>, person: Person) -> Answered {
    let filter = centinel_findings::Filter {
        open: Some(true),
        ..Default::default()
    };
    let figures = console
        .findings
        .read(move |store| store.figures(&filter, centinel_findings::By::Currency))
        .await?;
    let body = html! {
        table {
            caption { (person.say(text("Money at risk", "风险金额"))) }
            @for figure in &figures {
                @for (currency, amount) in &figure.at_risk { tr { th scope="row" { (currency) } td.number { (amount) } } }
            }
        }
    };
    Ok(person.page(person.say(text("Overview", "总览")), &body))
}
