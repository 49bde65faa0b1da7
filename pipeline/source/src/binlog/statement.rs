//! Statements in the log: what they do to watched tables, as far as their words tell.

/// What a statement in the log means for the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// A transaction begins, or a savepoint is set.
    Begin,
    /// The transaction ends, and what it did stays.
    Commit,
    /// The transaction ends, and what it did to tables that can be rolled back does not stay.
    Rollback,
    /// A distributed transaction begins, to be prepared.
    Prepare,
    /// A distributed transaction that was prepared ends.
    EndOfPrepared,
    /// Rows are changed by the statement itself and are not seen.
    Rows,
    /// A table is emptied.
    Truncate,
    /// A table comes, goes or gets another name.
    Replace,
    /// Columns or rows of a table change their form.
    Alter,
    /// Nothing that concerns rows.
    Other,
}

/// One word, name or sign of a statement; texts in quotes are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// In the case it was written in.
    Word(String),
    /// In backquotes or double quotes.
    Quoted(String),
    Sign(char),
}

impl Token {
    fn name(&self) -> Option<&str> {
        match self {
            Token::Word(name) | Token::Quoted(name) => Some(name),
            Token::Sign(_) => None,
        }
    }

    fn is(&self, keyword: &str) -> bool {
        matches!(self, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }
}

/// What the statement does, and the names in it that may be tables', with their databases where they stand
/// before them.
pub(super) fn read(text: &str) -> (Statement, Vec<(Option<String>, String)>) {
    let tokens = tokens(text);
    let statement = classify(&tokens);
    let names = match statement {
        Statement::Rows | Statement::Truncate | Statement::Replace | Statement::Alter => {
            names(&tokens)
        }
        _ => Vec::new(),
    };
    (statement, names)
}

/// What names the distributed transaction in XA START, XA COMMIT and XA ROLLBACK, as MySQL writes all three.
pub(super) fn prepared_id(text: &str) -> String {
    let words = text.trim_start().splitn(3, char::is_whitespace);
    let id = words.last().unwrap_or_default();
    id.chars().filter(|next| !next.is_whitespace()).collect()
}

/// Whether the end of a distributed transaction keeps what it did.
pub(super) fn keeps_prepared(text: &str) -> bool {
    !tokens(text)
        .iter()
        .take(2)
        .any(|token| token.is("ROLLBACK"))
}

/// Whether the rows of the new table follow in the same transaction, as MySQL writes CREATE TABLE … SELECT.
pub(super) fn is_opening(text: &str) -> bool {
    let tokens = tokens(text);
    let creates = tokens.first().is_some_and(|token| token.is("CREATE"));
    let [.., start, transaction] = tokens.as_slice() else {
        return false;
    };
    creates && start.is("START") && transaction.is("TRANSACTION")
}

fn classify(tokens: &[Token]) -> Statement {
    let word = |index: usize| match tokens.get(index) {
        Some(Token::Word(word)) => word.to_ascii_uppercase(),
        _ => String::new(),
    };
    match (word(0).as_str(), word(1).as_str()) {
        ("BEGIN" | "START" | "SAVEPOINT", _) => Statement::Begin,
        ("COMMIT", _) => Statement::Commit,
        ("ROLLBACK", "TO") => Statement::Begin,
        ("ROLLBACK", _) if word(2) == "TO" => Statement::Begin,
        ("ROLLBACK", _) => Statement::Rollback,
        ("XA", "COMMIT" | "ROLLBACK") => Statement::EndOfPrepared,
        ("XA", "START" | "BEGIN") => Statement::Prepare,
        ("XA", _) => Statement::Begin,
        (
            "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "LOAD" | "WITH" | "CALL" | "DO" | "SELECT"
            | "SET",
            _,
        ) => Statement::Rows,
        ("TRUNCATE", _) => Statement::Truncate,
        ("DROP", "TABLE" | "TABLES") | ("RENAME", _) => Statement::Replace,
        ("DROP", "DATABASE" | "SCHEMA") => Statement::Replace,
        ("CREATE", "OR") if word(3) == "TABLE" => Statement::Replace,
        ("ALTER", _) if reshapes(tokens) => Statement::Alter,
        _ => Statement::Other,
    }
}

/// Whether an ALTER may change values or rows. Columns that come, go or get other names leave the others as they
/// are: the next rows show it.
fn reshapes(tokens: &[Token]) -> bool {
    const HARMLESS_AFTER_RENAME: [&str; 3] = ["INDEX", "KEY", "COLUMN"];
    let is_table = tokens.iter().take(4).any(|token| token.is("TABLE"));
    let pairs = tokens
        .iter()
        .zip(tokens.iter().skip(1).map(Some).chain([None]));
    let mut reshaping = pairs.filter(|(token, next)| {
        let drops = token.is("DROP") && next.is_some_and(|next| next.is("PARTITION"));
        let renames = token.is("RENAME")
            && !next.is_some_and(|next| HARMLESS_AFTER_RENAME.iter().any(|word| next.is(word)));
        let others = [
            "MODIFY", "CHANGE", "CONVERT", "EXCHANGE", "TRUNCATE", "DISCARD", "IMPORT",
        ];
        drops || renames || others.iter().any(|word| token.is(word))
    });
    is_table && reshaping.next().is_some()
}

/// Words behind which a table's name may stand.
const BEFORE_A_TABLE: [&str; 22] = [
    "TABLE",
    "TABLES",
    "INTO",
    "FROM",
    "UPDATE",
    "JOIN",
    "TRUNCATE",
    "EXISTS",
    "REPLACE",
    "INSERT",
    "IGNORE",
    "DELETE",
    "USING",
    "TO",
    "LOW_PRIORITY",
    "QUICK",
    "DELAYED",
    "HIGH_PRIORITY",
    "DATABASE",
    "SCHEMA",
    "WITH",
    "RENAME",
];

fn names(tokens: &[Token]) -> Vec<(Option<String>, String)> {
    let mut names = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        let announced = match index.checked_sub(1).map(|before| &tokens[before]) {
            Some(Token::Sign(sign)) => *sign == ',',
            Some(before) => BEFORE_A_TABLE.iter().any(|word| before.is(word)),
            None => false,
        };
        let Some(name) = tokens[index].name().filter(|_| announced) else {
            index += 1;
            continue;
        };
        let qualified = match (tokens.get(index + 1), tokens.get(index + 2)) {
            (Some(Token::Sign('.')), Some(after)) => after.name(),
            _ => None,
        };
        match qualified {
            Some(table) => {
                names.push((Some(name.to_owned()), table.to_owned()));
                index += 3;
            }
            None => {
                names.push((None, name.to_owned()));
                index += 1;
            }
        }
    }
    names
}

/// The first so many tokens of a statement: names of tables stand near its beginning.
const MAX_TOKENS: usize = 10_000;

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next()
        && tokens.len() < MAX_TOKENS
    {
        rest = match first {
            '\'' => after_quoted(rest, '\'').1,
            '"' | '`' => {
                let (content, after) = after_quoted(rest, first);
                tokens.push(Token::Quoted(content));
                after
            }
            '#' => after(rest, "\n"),
            '-' if rest.starts_with("-- ") || rest.starts_with("--\n") => after(rest, "\n"),
            // The words in `/*! … */` are run; the end of such a comment is two signs.
            '/' if rest.starts_with("/*!") || rest.starts_with("/*M!") => rest[2..]
                .trim_start_matches(['M', '!'])
                .trim_start_matches(|c: char| c.is_ascii_digit()),
            '/' if rest.starts_with("/*") => after(rest, "*/"),
            _ if is_word(first) => {
                let end = rest.find(|next| !is_word(next)).unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..end].to_owned()));
                &rest[end..]
            }
            _ => {
                if !first.is_whitespace() {
                    tokens.push(Token::Sign(first));
                }
                &rest[first.len_utf8()..]
            }
        };
    }
    tokens
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '$' | '@')
}

fn after<'a>(text: &'a str, end: &str) -> &'a str {
    text.split_once(end).map_or("", |(_, after)| after)
}

/// What stands between the quotes, and what follows. A quote in it is doubled or stands behind a backslash.
fn after_quoted(text: &str, quote: char) -> (String, &str) {
    let mut content = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' if quote != '`' => content.extend(characters.next().map(|(_, escaped)| escaped)),
            _ if character == quote => match characters.peek() {
                Some((_, next)) if *next == quote => {
                    content.push(quote);
                    characters.next();
                }
                _ => return (content, &text[index + quote.len_utf8()..]),
            },
            _ => content.push(character),
        }
    }
    (content, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn statements_are_told_apart_by_their_words() {
        use Statement::*;
        let cases = [
            ("BEGIN", Begin),
            ("/* app */ begin", Begin),
            ("COMMIT", Commit),
            ("ROLLBACK", Rollback),
            ("ROLLBACK TO `a`", Begin),
            ("ROLLBACK WORK TO a", Begin),
            ("XA COMMIT 'x'", EndOfPrepared),
            ("XA START X'78',X'',1", Prepare),
            ("XA END X'78',X'',1", Begin),
            ("insert into payment values (1)", Rows),
            ("/*!50000 UPDATE */ payment set a = 1", Rows),
            ("with x as (select 1) delete from payment", Rows),
            ("TRUNCATE payment", Truncate),
            ("TRUNCATE TABLE pay.payment", Truncate),
            (
                "DROP TABLE IF EXISTS `payment` /* generated by server */",
                Replace,
            ),
            ("DROP VIEW payment", Other),
            ("RENAME TABLE a TO b", Replace),
            ("CREATE OR REPLACE TABLE payment (a int)", Replace),
            ("CREATE TABLE payment (a int)", Other),
            ("ALTER TABLE payment ADD COLUMN a INT COMMENT 'drop'", Other),
            (
                "ALTER TABLE payment ADD KEY (a), DROP INDEX b, ALTER c DROP DEFAULT",
                Other,
            ),
            ("ALTER TABLE payment DROP COLUMN a", Other),
            ("ALTER TABLE payment DROP a, RENAME COLUMN b TO c", Other),
            ("ALTER TABLE payment DROP a, MODIFY b INT", Alter),
            ("ALTER TABLE payment DROP PARTITION p1", Alter),
            ("ALTER TABLE payment MODIFY a DECIMAL(10,0)", Alter),
            ("ALTER ONLINE TABLE payment CHANGE a b INT", Alter),
            ("ALTER DATABASE pay CHARACTER SET utf8mb4", Other),
            ("GRANT SELECT ON payment TO x", Other),
            ("", Other),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).0, expected, "{text}");
        }
    }

    #[test]
    fn what_follows_a_statement_is_told_by_its_words() {
        assert!(is_opening(
            "CREATE TABLE `a` (`b` int) START TRANSACTION /* xid=7 */"
        ));
        assert!(!is_opening("CREATE TABLE a (b int)"));
        assert!(!is_opening("START TRANSACTION"));
        let ids = [
            "XA START X'78',X'',1",
            "XA COMMIT X'78',X'',1",
            "XA ROLLBACK  X'78', X'', 1",
        ];
        assert!(ids.iter().all(|text| prepared_id(text) == "X'78',X'',1"));
        assert!(keeps_prepared(ids[1]) && !keeps_prepared(ids[2]));
    }

    #[test]
    fn names_are_found_and_texts_are_not() {
        let names = |text| read(text).1;
        let found =
            names("DELETE FROM `pay`.`pay``ment` WHERE note = 'from refund \\' x' -- settlement\n");
        assert!(found.contains(&(Some("pay".into()), "pay`ment".into())));
        for hidden in ["refund", "settlement"] {
            assert!(!found.iter().any(|(_, name)| name == hidden), "{hidden}");
        }
        let found = names("TRUNCATE TABLE payment");
        assert!(found.contains(&(None, "payment".into())));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,200}", quotes in "[`'\"/*\\\\ a.-]{0,40}") {
            read(&text);
            read(&quotes);
        }
    }
}
