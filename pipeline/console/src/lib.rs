//! The console: pages for the people who act on findings.

#![allow(dead_code, unused_imports)]
mod breaker;
mod reports;
