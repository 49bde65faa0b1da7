/// Stars that stand for what is not shown, however long it is.
const STARS: &str = "****";
/// The most characters shown.
const SHOWN: usize = 4;
/// A shorter text would give too much away.
const LONGEST_HIDDEN: usize = 8;

/// Personal or card data as evidence, logs and displays may show it: four stars, and behind them the last
/// four characters of a text of more than eight. The number of stars says nothing of the length.
pub fn mask(text: &str) -> String {
    let length = text.chars().count();
    if length <= LONGEST_HIDDEN {
        return STARS.to_owned();
    }
    STARS
        .chars()
        .chain(text.chars().skip(length - SHOWN))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_the_last_four_characters_are_seen() {
        let table = [
            ("", "****"),
            ("1", "****"),
            ("12345678", "****"),
            ("123456789", "****6789"),
            ("6222021234567890123", "****0123"),
            ("张三李四王五赵六钱", "****五赵六钱"),
        ];
        for (text, masked) in table {
            assert_eq!(mask(text), masked, "{text}");
        }
    }
}
