//! What statements about tables mean for their rows.

/// What a statement does to the rows of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Takes rows away without telling which.
    Empties,
    /// May give the table another shape or name.
    Alters,
    /// Nothing that matters here.
    Nothing,
}

/// The effect of a kind of statement, as Canal and Maxwell name it.
pub(super) fn effect_of_kind(kind: &str) -> Effect {
    match kind.to_ascii_uppercase().as_str() {
        "TRUNCATE" | "ERASE" | "TABLE-DROP" | "DATABASE-DROP" => Effect::Empties,
        "ALTER" | "RENAME" | "TABLE-ALTER" => Effect::Alters,
        _ => Effect::Nothing,
    }
}

/// The effect of a statement by its first word.
pub(super) fn effect_of_statement(statement: &str) -> Effect {
    let first = statement.split_ascii_whitespace().next().unwrap_or("");
    match first.to_ascii_uppercase().as_str() {
        "TRUNCATE" | "DROP" => Effect::Empties,
        "ALTER" | "RENAME" => Effect::Alters,
        _ => Effect::Nothing,
    }
}
