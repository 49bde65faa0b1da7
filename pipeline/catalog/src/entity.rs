/// A business object that ties rows across systems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// Its name, such as `order`.
    pub name: String,
    /// Names of the key's columns as people call them.
    pub key: Vec<String>,
    /// How key values are brought to one form, wherever rows come in.
    pub normalise: Vec<Normalisation>,
    /// More rows than this make the entity undetermined; it is never cut short.
    pub max_rows: u64,
    /// The table whose row comes first: where that was seen to come into being, nothing of the entity is older.
    pub begins_with: Option<centinel_model::TableId>,
}

/// One step that brings key values to one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalisation {
    /// Blanks at both ends are removed.
    Trim,
    /// Letters become upper case.
    Upper,
    /// Letters become lower case.
    Lower,
    /// Zeros at the left are removed (`007` is `7`).
    StripZeros,
}

impl Entity {
    /// The value in its normal form; borrowed when it already is.
    pub fn normalise<'a>(&self, value: &'a str) -> std::borrow::Cow<'a, str> {
        let mut value = std::borrow::Cow::Borrowed(value);
        for step in &self.normalise {
            value = step.apply(value);
        }
        value
    }
}

impl Normalisation {
    /// As schema files write it.
    pub fn name(self) -> &'static str {
        match self {
            Normalisation::Trim => "trim",
            Normalisation::Upper => "upper",
            Normalisation::Lower => "lower",
            Normalisation::StripZeros => "strip_zeros",
        }
    }

    fn apply<'a>(self, value: std::borrow::Cow<'a, str>) -> std::borrow::Cow<'a, str> {
        let changed = match self {
            Normalisation::Trim => {
                let trimmed = value.trim();
                (trimmed.len() != value.len()).then(|| trimmed.to_owned())
            }
            Normalisation::Upper => {
                let already = value
                    .bytes()
                    .all(|byte| byte.is_ascii() && !byte.is_ascii_lowercase());
                (!already).then(|| value.to_uppercase())
            }
            Normalisation::Lower => {
                let already = value
                    .bytes()
                    .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
                (!already).then(|| value.to_lowercase())
            }
            Normalisation::StripZeros => {
                let stripped = value.trim_start_matches('0');
                let stripped = if stripped.is_empty() && !value.is_empty() {
                    "0"
                } else {
                    stripped
                };
                (stripped.len() != value.len()).then(|| stripped.to_owned())
            }
        };
        changed.map_or(value, std::borrow::Cow::Owned)
    }
}
