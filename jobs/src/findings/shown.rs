//! Text of a platform's rows as it may stand on a terminal.

/// What steers a terminal or turns the direction of writing is shown as a mark.
fn harmless(character: char) -> char {
    match character {
        '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{061c}'
        | '\u{feff}' => '\u{fffd}',
        steers if steers.is_control() => '\u{fffd}',
        plain => plain,
    }
}

/// A text that stays in its line.
pub fn one_line(text: &str) -> String {
    text.chars().map(harmless).collect()
}

/// A text of several lines, each behind this indent: none of them can pass for one of the program's own.
pub fn lines(text: &str, indent: &str) -> String {
    let lines = text
        .split('\n')
        .map(|line| format!("{indent}{}", one_line(line)));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal() {
        assert_eq!(
            one_line("a\u{1b}[2Jb\r\n\u{9b}c\u{202e}d\u{0}退款"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}c\u{fffd}d\u{fffd}退款"
        );
        assert_eq!(lines("one\ntwo\u{7}", "  "), "  one\n  two\u{fffd}");
    }
}
