//! The pages.

pub mod breaker;
pub mod finding;
pub mod findings;
pub mod log;
pub mod overview;
pub mod quarantine;
pub mod reports;
pub mod rules;
pub mod sign_in;
pub mod sources;
pub mod trace;

use crate::live;
use crate::routes::Route;

/// The routes of every page.
pub const ROUTES: &[&[Route]] = &[
    sign_in::ROUTES,
    overview::ROUTES,
    findings::ROUTES,
    finding::ROUTES,
    log::ROUTES,
    live::ROUTES,
    trace::ROUTES,
    breaker::ROUTES,
    rules::ROUTES,
    reports::ROUTES,
    sources::ROUTES,
    quarantine::ROUTES,
];
