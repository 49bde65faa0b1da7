//! `schemas/*.yaml` → [`Catalog`].

use std::path::Path;

use crate::Catalog;

/// One mistake in a schema file, with the place and the remedy.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Path of the file.
    pub file: String,
    /// Line, from 1; 0 when the mistake has no line.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub remedy: String,
    /// The mistake shown in the file's text, ready to print.
    pub rendered: String,
}

/// Reads all `*.yaml` files of a folder. Either everything is right, or every mistake is listed.
pub fn load(_folder: &Path) -> Result<Catalog, Vec<Diagnostic>> {
    Err(Vec::new())
}
