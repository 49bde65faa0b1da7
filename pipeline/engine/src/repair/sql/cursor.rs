//! A parser's place among its tokens, and how it refuses what stands there.

use super::super::change::Mistake;
use super::parse::Parser;
use super::token::{Kind, Place};

impl<'a> Parser<'a> {
    pub(super) fn any_name(&mut self, what: &str) -> Result<String, Mistake> {
        let name = match self.peek() {
            Kind::Word(word) => word.clone(),
            Kind::Name(name) => name.clone(),
            _ => return self.refuse_here(&format!("where the name of {what} should stand")),
        };
        self.at += 1;
        Ok(name)
    }

    pub(super) fn peek(&self) -> &'a Kind {
        self.tokens
            .get(self.at)
            .map_or(&Kind::End, |token| &token.kind)
    }

    pub(super) fn peek_second(&self) -> &'a Kind {
        self.tokens
            .get(self.at + 1)
            .map_or(&Kind::End, |token| &token.kind)
    }

    pub(super) fn next(&mut self) {
        self.at += 1;
    }

    pub(super) fn place(&self) -> Place {
        let token = self.tokens.get(self.at).or(self.tokens.last());
        token.map(|token| token.place).unwrap_or_default()
    }

    pub(super) fn eat(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Kind::Sign(found) if *found == sign);
        self.at += usize::from(found);
        found
    }

    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Kind::Word(found) if found.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    pub(super) fn keyword(&mut self, word: &str) -> Result<(), Mistake> {
        match self.word(word) {
            true => Ok(()),
            false => self.refuse_here(&format!("where {word} should stand")),
        }
    }

    pub(super) fn refuse<T>(&self, problem: impl Into<String>, remedy: &str) -> Result<T, Mistake> {
        Err(Mistake::new(self.place().to_string(), problem, remedy))
    }

    /// Refuses what stands here, with a remedy for what is often tried.
    pub(super) fn refuse_here<T>(&self, where_it_is: &str) -> Result<T, Mistake> {
        let (what, remedy) = match self.peek() {
            Kind::Word(word) => {
                let upper = word.to_uppercase();
                let remedy = match upper.as_str() {
                    "LIKE" | "RLIKE" | "REGEXP" | "COLLATE" | "BINARY" => {
                        "write = and whole texts: patterns and collations are not evaluated here"
                    }
                    "DIV" | "MOD" | "XOR" => "it is not evaluated here: write the values",
                    "SELECT" | "EXISTS" => {
                        "queries are not evaluated here: name the rows by their keys"
                    }
                    "LIMIT" | "ORDER" => "name the rows by their keys",
                    "RETURNING" | "AS" | "IGNORE" | "LOW_PRIORITY" | "PARTITION" => {
                        "leave it out: it is not evaluated here"
                    }
                    _ => "write a simple statement on one table",
                };
                (format!("`{word}`"), remedy)
            }
            Kind::Name(name) => (format!("`{name}`"), "write a simple statement on one table"),
            Kind::Text(_) => ("a text".into(), "write one text: put it together yourself"),
            Kind::Number(number) => (format!("`{number}`"), "write a simple statement"),
            Kind::Sign(sign) => (format!("`{sign}`"), "write a simple statement on one table"),
            Kind::End => (
                "the end of the file".into(),
                "write the rest of the statement",
            ),
        };
        self.refuse(format!("{what} stands {where_it_is}"), remedy)
    }
}
