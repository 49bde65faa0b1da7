//! The pages.

pub mod overview;
pub mod sign_in;

use crate::routes::Route;

/// The routes of every page.
pub const ROUTES: &[&[Route]] = &[sign_in::ROUTES, overview::ROUTES];
