//! What was noticed about the shapes of tables and is no mistake yet.

use std::collections::HashSet;

use crate::rows::{Layout, decent_column};

/// More notes than this are not kept: a person has seen enough by then.
const MAX_NOTES: usize = 1_000;

/// Something about a table's shape that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The table's name in the schemas.
    pub table: String,
    /// What was noticed, and what to do.
    pub message: String,
}

/// All notes, each once.
#[derive(Debug, Default)]
pub(super) struct Notes {
    list: Vec<Note>,
    /// By table id: members of rows that no column is named after.
    extra: Vec<HashSet<Box<str>>>,
    told: HashSet<(usize, String)>,
}

impl Notes {
    pub(super) fn list(&self) -> &[Note] {
        &self.list
    }

    /// The table has a column that its schema does not have.
    pub(super) fn extra_column(&mut self, index: usize, layout: &Layout, name: &str) {
        if self.extra.len() <= index {
            self.extra.resize_with(index + 1, HashSet::new);
        }
        let extra = &mut self.extra[index];
        if extra.contains(name) || extra.len() >= MAX_NOTES {
            return;
        }
        extra.insert(name.into());
        let message = format!(
            "{} of `{}` is not in its schema and is passed over; add it to the schema if rules need it",
            decent_column(name),
            layout.name
        );
        self.push(layout, message);
    }

    /// Rows come without a column that may be null.
    pub(super) fn missing_column(&mut self, index: usize, layout: &Layout, name: &str) {
        let message = format!(
            "rows of `{}` come without column `{name}`, which is read as null; remove it from the schema if the \
             platform dropped it",
            layout.name
        );
        self.once(index, layout, message);
    }

    /// The table was altered or renamed.
    pub(super) fn altered(&mut self, index: usize, layout: &Layout) {
        let message = format!(
            "the platform altered or renamed a table of `{}`; compare it with its schema",
            layout.name
        );
        self.once(index, layout, message);
    }

    fn once(&mut self, index: usize, layout: &Layout, message: String) {
        if self.told.len() < MAX_NOTES && self.told.insert((index, message.clone())) {
            self.push(layout, message);
        }
    }

    fn push(&mut self, layout: &Layout, message: String) {
        if self.list.len() < MAX_NOTES {
            self.list.push(Note {
                table: layout.name.clone(),
                message,
            });
        }
    }
}
