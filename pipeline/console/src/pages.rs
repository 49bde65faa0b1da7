//! The pages.

pub mod finding;
pub mod findings;
pub mod log;
pub mod overview;
pub mod sign_in;

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
];
