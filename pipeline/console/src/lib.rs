//! The console: pages for the people who act on findings.
