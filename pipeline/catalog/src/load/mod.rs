//! `schemas/*.yaml` → [`Catalog`]: files are read into values that know their place (`yaml`), values into
//! declarations (`declare`), declarations checked against each other and into the catalog (`resolve`).

mod columns;
mod declare;
mod entities;
mod flow;
mod form;
mod guard;
mod links;
mod mistakes;
mod origin;
mod resolve;
mod types;
mod yaml;

use std::path::{Path, PathBuf};

use crate::{Catalog, read_file};
use declare::Declared;
use mistakes::{Mistakes, SourceFile};

/// The most files of one folder.
const MAX_FILES: usize = 1000;
/// The most bytes of one file.
const MAX_FILE_BYTES: u64 = 1 << 20;

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

/// Reads all `*.yaml` files of a folder (not of folders in it; names that begin with a dot are passed
/// over). Either everything is right, or every mistake is listed, by file and line.
pub fn load(folder: &Path) -> Result<Catalog, Vec<Diagnostic>> {
    load_with(folder, &[])
}

/// The same with files that lie in no folder, each with the name under which mistakes in it are shown and its text.
/// What they declare stands beside what the folder's files declare, entities too.
///
/// # Errors
/// As [`load`].
pub fn load_with(folder: &Path, built_in: &[(&str, &str)]) -> Result<Catalog, Vec<Diagnostic>> {
    let mut mistakes = Mistakes::default();
    let mut declared = Declared::default();
    for path in list(folder, &mut mistakes) {
        match read(&path, &mut mistakes) {
            Some((file, tree)) => declare::file(file, tree, &mut declared, &mut mistakes),
            None => declared.nameless = true,
        }
    }
    for (name, text) in built_in {
        let file = SourceFile {
            path: (*name).to_owned(),
            text: (*text).to_owned(),
        };
        match parsed(file, &mut mistakes) {
            Some((file, tree)) => declare::built_in(file, tree, &mut declared, &mut mistakes),
            None => declared.nameless = true,
        }
    }
    if !declared.files.is_empty() && declared.entities_file.is_none() && !declared.nameless {
        mistakes.of(
            &folder.display().to_string(),
            "no file of this folder declares the entities",
            "add entities.yaml with `centinel: entities/1` and `entities: { order: { key: [order_no] } }`",
        );
    }
    let catalog = resolve::resolve(&declared, &mut mistakes);
    if mistakes.is_empty() {
        Ok(catalog)
    } else {
        Err(mistakes.into_list())
    }
}

/// The schema files of a folder, by name.
fn list(folder: &Path, mistakes: &mut Mistakes) -> Vec<PathBuf> {
    let shown = folder.display().to_string();
    let entries =
        match std::fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) => {
                mistakes.of(
                    &shown,
                    format!("the folder cannot be read: {error}"),
                    "name a folder that holds schema files (*.yaml)",
                );
                return Vec::new();
            }
        };
    let mut paths: Vec<PathBuf> = entries
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| !is_hidden(path))
        .collect();
    paths.sort();
    for path in paths
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "yml"))
    {
        mistakes.of(
            &path.display().to_string(),
            "the file would not be read",
            "rename it so that it ends in .yaml",
        );
    }
    paths.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    if paths.is_empty() {
        mistakes.of(
            &shown,
            "the folder holds no schema file",
            "add files that end in .yaml; see schemas/README.md",
        );
    }
    if paths.len() > MAX_FILES {
        mistakes.of(
            &shown,
            format!("{} schema files", paths.len()),
            format!("keep at most {MAX_FILES} in one folder"),
        );
        paths.clear();
    }
    paths
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// The file's text and its values, or a mistake.
fn read(path: &Path, mistakes: &mut Mistakes) -> Option<(SourceFile, yaml::Placed<yaml::Node>)> {
    let shown = path.display().to_string();
    let bytes = match read_file(path, MAX_FILE_BYTES + 1) {
        Ok(bytes) => bytes,
        Err(error) => {
            mistakes.of(
                &shown,
                format!("the file cannot be read: {error}"),
                "make it a file that this user may read",
            );
            return None;
        }
    };
    if bytes.len() as u64 > MAX_FILE_BYTES {
        mistakes.of(
            &shown,
            "the file is larger than 1 MiB",
            "describe one table or event in each file",
        );
        return None;
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes()[..good]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
            let file = SourceFile {
                path: shown,
                text: String::from_utf8_lossy(error.as_bytes()).into_owned(),
            };
            let place = yaml::Place {
                start: good,
                end: good + '\u{fffd}'.len_utf8(),
                line,
            };
            mistakes.at(
                &file,
                place,
                "the file is not UTF-8 text",
                "save it as UTF-8",
            );
            return None;
        }
    };
    parsed(SourceFile { path: shown, text }, mistakes)
}

/// The text's values, or a mistake.
fn parsed(
    file: SourceFile,
    mistakes: &mut Mistakes,
) -> Option<(SourceFile, yaml::Placed<yaml::Node>)> {
    match yaml::parse(&file.text) {
        Ok(tree) => Some((file, tree)),
        Err(refusal) => {
            mistakes.at(&file, refusal.place, refusal.problem, refusal.remedy);
            None
        }
    }
}
