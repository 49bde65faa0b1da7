//! What was noticed about the shapes of tables and is no mistake yet.

use std::collections::HashSet;

use centinel_model::{Note, Position, TableId};

use crate::rows::{Layout, decent_column};

/// More notes than this are not kept of one chunk: a person has seen enough by then.
const MAX_NOTES: usize = 1_000;

/// The notes of one chunk, each once.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// With the offset at which each was noticed.
    list: Vec<(u64, Noted)>,
    /// Where the record at hand stands.
    offset: u64,
    /// By table id: members of rows that no column is named after.
    extra: Vec<HashSet<Box<str>>>,
    told: HashSet<(usize, String)>,
}

#[derive(Debug)]
struct Noted {
    table: TableId,
    column: Option<String>,
    message: String,
}

impl Notes {
    /// What is noticed from now on stands at this offset.
    pub(crate) fn at(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// The table has a column that its schema does not have.
    pub(crate) fn extra_column(&mut self, index: usize, layout: &Layout, name: &str) {
        if self.extra.len() <= index {
            self.extra.resize_with(index + 1, HashSet::new);
        }
        let extra = &mut self.extra[index];
        if extra.contains(name) || extra.len() >= MAX_NOTES {
            return;
        }
        extra.insert(name.into());
        let shown = decent_column(name);
        let message = format!(
            "{shown} of `{}` is not in its schema and is passed over; add it to the schema if rules need it",
            layout.name
        );
        let column = shown.contains('`').then(|| name.to_owned());
        self.push(layout, column, message);
    }

    /// Rows come without a column that may be null, by a tool that leaves out what is null.
    pub(crate) fn missing_column(&mut self, index: usize, layout: &Layout, name: &str) {
        let message = format!(
            "rows of `{}` come without column `{name}`, which is read as null; remove it from the schema if the \
             platform dropped it",
            layout.name
        );
        self.once(index, layout, Some(name), message);
    }

    /// The table was altered or renamed.
    pub(crate) fn altered(&mut self, index: usize, layout: &Layout) {
        let message = format!(
            "the platform altered or renamed a table of `{}`; compare it with its schema",
            layout.name
        );
        self.once(index, layout, None, message);
    }

    /// All notes; starts anew.
    pub(crate) fn take(&mut self, input: &str, start: &Position) -> Vec<Note> {
        let notes = std::mem::take(self).list.into_iter();
        let note = |(offset, noted): (u64, Noted)| Note {
            input: input.to_owned(),
            position: start.advanced_to(offset),
            table: noted.table,
            column: noted.column,
            message: noted.message,
        };
        notes.map(note).collect()
    }

    fn once(&mut self, index: usize, layout: &Layout, column: Option<&str>, message: String) {
        if self.told.len() < MAX_NOTES && self.told.insert((index, message.clone())) {
            self.push(layout, column.map(str::to_owned), message);
        }
    }

    fn push(&mut self, layout: &Layout, column: Option<String>, message: String) {
        if self.list.len() < MAX_NOTES {
            let noted = Noted {
                table: layout.table,
                column,
                message,
            };
            self.list.push((self.offset, noted));
        }
    }
}
