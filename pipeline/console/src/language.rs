//! Texts in the languages that people choose. Each text is given in all of them, or it does not compile.

/// A language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Chinese, simplified.
    Chinese,
}

/// One text in every language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    english: &'static str,
    chinese: &'static str,
}

/// A text: English, Chinese.
pub const fn text(english: &'static str, chinese: &'static str) -> Text {
    Text { english, chinese }
}

impl Text {
    /// The text in this language.
    pub fn of(self, language: Language) -> &'static str {
        match language {
            Language::English => self.english,
            Language::Chinese => self.chinese,
        }
    }
}

impl Language {
    /// All of them.
    pub const ALL: [Language; 2] = [Language::English, Language::Chinese];

    /// As in the attribute `lang`.
    pub fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Chinese => "zh-CN",
        }
    }

    /// As in `?lang=` and in the cookie.
    pub fn word(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Chinese => "zh",
        }
    }

    /// Its own name.
    pub fn name(self) -> &'static str {
        match self {
            Language::English => "English",
            Language::Chinese => "中文",
        }
    }

    /// The one with this word.
    pub fn of_word(word: &str) -> Option<Language> {
        Language::ALL
            .into_iter()
            .find(|language| language.word() == word)
    }

    /// The first one that a browser asks for (`Accept-Language`) and that is there.
    pub fn accepted(header: &str) -> Option<Language> {
        let mut wanted: Vec<(u16, Language)> = header
            .split(',')
            .take(20)
            .filter_map(|part| {
                let mut parts = part.trim().split(';');
                let primary = parts.next()?.split('-').next()?.to_ascii_lowercase();
                let weight = parts
                    .find_map(|parameter| parameter.trim().strip_prefix("q="))
                    .map_or(Some(1.0), |weight| weight.parse::<f32>().ok())?;
                Some((
                    (weight.clamp(0.0, 1.0) * 1_000.0) as u16,
                    Language::of_word(&primary)?,
                ))
            })
            .filter(|(weight, _)| *weight > 0)
            .collect();
        wanted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        wanted.first().map(|(_, language)| *language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_is_wanted_most_and_is_there_is_taken() {
        for (header, expected) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", Some(Language::Chinese)),
            ("de,en;q=0.7,zh;q=0.3", Some(Language::English)),
            ("en;q=0.1, zh;q=0.2", Some(Language::Chinese)),
            ("zh;q=0, en;q=0.1", Some(Language::English)),
            ("fr", None),
            ("", None),
            (";;q=x,,", None),
        ] {
            assert_eq!(Language::accepted(header), expected, "{header}");
        }
    }
}
