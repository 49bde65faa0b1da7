//! SQL text → words, names, texts, numbers and signs. What MariaDB reads differently by its settings is refused.

use super::super::change::Mistake;

/// A place in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "line {}, column {}", self.line, self.column)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A keyword, or a name without quotes.
    Word(String),
    /// A name in backticks.
    Name(String),
    /// A text in single quotes.
    Text(String),
    /// Digits, with a point or without.
    Number(String),
    /// One of [`SIGNS`].
    Sign(&'static str),
    End,
}

#[derive(Clone, Debug)]
pub struct Token {
    pub kind: Kind,
    pub place: Place,
}

/// The longer ones first.
const SIGNS: [&str; 17] = [
    "<=>", "<>", "!=", "<=", ">=", "=", "<", ">", "(", ")", ",", ";", ".", "+", "-", "*", "/",
];

struct Reader<'a> {
    rest: &'a str,
    place: Place,
}

/// All tokens of a text, an end behind them.
pub fn tokens(text: &str) -> Result<Vec<Token>, Mistake> {
    let mut reader = Reader {
        rest: text,
        place: Place { line: 1, column: 1 },
    };
    let mut tokens = Vec::new();
    loop {
        reader.skip_blanks()?;
        let place = reader.place;
        let kind = reader.token()?;
        let ended = kind == Kind::End;
        tokens.push(Token { kind, place });
        if ended {
            return Ok(tokens);
        }
    }
}

impl Reader<'_> {
    fn advance(&mut self, bytes: usize) {
        for character in self.rest[..bytes].chars() {
            match character {
                '\n' => {
                    self.place.line += 1;
                    self.place.column = 1;
                }
                _ => self.place.column += 1,
            }
        }
        self.rest = &self.rest[bytes..];
    }

    fn refuse<T>(&self, problem: impl Into<String>, remedy: &str) -> Result<T, Mistake> {
        Err(Mistake::new(self.place.to_string(), problem, remedy))
    }

    /// Passes over blanks and comments.
    fn skip_blanks(&mut self) -> Result<(), Mistake> {
        loop {
            let blanks = self.rest.len() - self.rest.trim_start().len();
            self.advance(blanks);
            let dashes = self.rest.strip_prefix("--").is_some_and(|rest| {
                rest.is_empty() || rest.starts_with(|next: char| next.is_ascii_whitespace())
            });
            if dashes || self.rest.starts_with('#') {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.advance(end);
                continue;
            }
            if !self.rest.starts_with("/*") {
                return Ok(());
            }
            if ["/*!", "/*M!", "/*+"]
                .iter()
                .any(|start| self.rest.starts_with(start))
            {
                return self.refuse(
                    "a comment that the server reads as SQL, or as a hint",
                    "write what it says as a statement, or leave it out",
                );
            }
            match self.rest.find("*/") {
                Some(end) => self.advance(end + 2),
                None => return self.refuse("a comment is never closed", "write */ behind it"),
            }
        }
    }

    fn token(&mut self) -> Result<Kind, Mistake> {
        let Some(first) = self.rest.chars().next() else {
            return Ok(Kind::End);
        };
        match first {
            '\'' => self.text(),
            '`' => self.name(),
            '0'..='9' => self.number(),
            'A'..='Z' | 'a'..='z' | '_' => self.word(),
            '"' => self.refuse(
                "double quotes, which are a text or a name by the server's sql_mode",
                "write texts in single quotes, names in backticks or without quotes",
            ),
            '@' => self.refuse(
                "a variable, whose value is not known here",
                "write its value",
            ),
            '|' | '&' | '^' | '~' | '!' if !self.rest.starts_with("!=") => self.refuse(
                format!("`{first}`, which means different things by the server's settings"),
                "write AND, OR, NOT, or CONCAT(…)",
            ),
            '%' => self.refuse(
                "a remainder, which is not evaluated here",
                "name the rows by their keys, or write the values",
            ),
            _ => {
                let starts = |sign: &&'static str| self.rest.starts_with(*sign);
                let sign = SIGNS.into_iter().find(starts);
                match sign {
                    Some(sign) => {
                        self.advance(sign.len());
                        Ok(Kind::Sign(sign))
                    }
                    None => self.refuse(
                        format!("`{first}`, which no simple statement has"),
                        "write UPDATE … SET … WHERE, INSERT INTO … VALUES or DELETE FROM … WHERE",
                    ),
                }
            }
        }
    }

    fn text(&mut self) -> Result<Kind, Mistake> {
        let mut text = String::new();
        let mut at = 1;
        loop {
            let Some(end) = self.rest[at..].find('\'') else {
                return self.refuse("a text is never closed", "write ' behind it");
            };
            text.push_str(&self.rest[at..at + end]);
            at += end + 1;
            if !self.rest[at..].starts_with('\'') {
                break;
            }
            text.push('\'');
            at += 1;
        }
        if text.contains('\\') {
            return self.refuse(
                "a backslash in a text, which means different things by the server's sql_mode",
                "plan this change as JSON Lines, CSV or Parquet",
            );
        }
        self.advance(at);
        Ok(Kind::Text(text))
    }

    fn name(&mut self) -> Result<Kind, Mistake> {
        let Some(end) = self.rest[1..].find('`') else {
            return self.refuse("a name is never closed", "write ` behind it");
        };
        let name = self.rest[1..=end].to_owned();
        self.advance(end + 2);
        Ok(Kind::Name(name))
    }

    fn number(&mut self) -> Result<Kind, Mistake> {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let mut length = digits(self.rest);
        if self.rest[length..].starts_with('.') {
            length += 1 + digits(&self.rest[length + 1..]);
        }
        let follows = self.rest[length..].chars().next();
        if follows.is_some_and(|next| next.is_ascii_alphanumeric() || "_.$'".contains(next)) {
            return self.refuse(
                "a number with letters: a float, or bytes",
                "write an exact number such as 12.50",
            );
        }
        let number = self.rest[..length].to_owned();
        if number.ends_with('.') {
            return self.refuse("a number that ends with a point", "write 12 or 12.0");
        }
        self.advance(length);
        Ok(Kind::Number(number))
    }

    fn word(&mut self) -> Result<Kind, Mistake> {
        let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"_$".contains(byte);
        let length = self.rest.bytes().take_while(fits).count();
        let follows = self.rest[length..].chars().next();
        if follows.is_some_and(|next| next == '\'' || !next.is_ascii()) {
            return self.refuse(
                "a text with a character set before it, or a name with other letters",
                "write the text alone, or the name in backticks",
            );
        }
        let word = self.rest[..length].to_owned();
        self.advance(length);
        Ok(Kind::Word(word))
    }
}
