//! Mistakes of rule files, shown in the file's text.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str};
use centinel_catalog::Diagnostic;

/// A rule file's path, as shown, and its text.
#[derive(Debug)]
pub(crate) struct SourceFile {
    pub path: String,
    pub text: String,
}

/// The mistakes found in one file so far.
pub(crate) struct Mistakes<'a> {
    file: &'a SourceFile,
    pub list: Vec<Diagnostic>,
}

impl<'a> Mistakes<'a> {
    pub fn new(file: &'a SourceFile) -> Mistakes<'a> {
        Mistakes {
            file,
            list: Vec::new(),
        }
    }

    /// A mistake at these bytes of the file, or of the file as a whole.
    pub fn add(
        &mut self,
        place: Option<Range<usize>>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (problem, remedy) = (problem.into(), remedy.into());
        let text = &self.file.text;
        let place = place.filter(|place| text.get(place.clone()).is_some());
        let line = place
            .as_ref()
            .map_or(0, |place| 1 + text[..place.start].matches('\n').count());
        let rendered = render(self.file, place, &problem, &remedy);
        self.list.push(Diagnostic {
            file: self.file.path.clone(),
            line,
            problem,
            remedy,
            rendered,
        });
    }

    /// The bytes from one line and column to another, both from 1, columns in characters.
    pub fn range(&self, start: (u64, u64), end: (u64, u64)) -> Option<Range<usize>> {
        let first = offset(&self.file.text, start)?;
        let behind = offset(&self.file.text, end)?.max(first);
        Some(first..behind)
    }

    /// The first line of the SQL.
    pub fn statement(&self) -> Option<Range<usize>> {
        let text = &self.file.text;
        let behind_head = text.find("*/").map_or(0, |end| end + 2);
        let start = behind_head + text[behind_head..].find(|c: char| !c.is_whitespace())?;
        let length = text[start..].find('\n').unwrap_or(text.len() - start);
        Some(start..start + text[start..start + length].trim_end().len())
    }

    /// Where a word first stands in the SQL.
    pub fn word(&self, word: &str) -> Option<Range<usize>> {
        let text = &self.file.text;
        let within = |c: char| c.is_alphanumeric() || c == '_';
        let behind_head = self.statement()?.start;
        let found = text[behind_head..].match_indices(word).find(|(at, _)| {
            let start = behind_head + at;
            !text[..start].ends_with(within) && !text[start + word.len()..].starts_with(within)
        });
        found.map(|(at, _)| behind_head + at..behind_head + at + word.len())
    }

    /// Where a field of the front matter stands.
    pub fn field(&self, name: &str) -> Option<Range<usize>> {
        let head_end = self.file.text.find("--- */").unwrap_or(0);
        let mut start = 0;
        for line in self.file.text[..head_end].split_inclusive('\n') {
            if line
                .strip_prefix(name)
                .is_some_and(|rest| rest.trim_start().starts_with(':'))
            {
                return Some(start..start + line.trim_end().len());
            }
            start += line.len();
        }
        None
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

fn offset(text: &str, (line, column): (u64, u64)) -> Option<usize> {
    let line_start = match usize::try_from(line).ok()?.checked_sub(2) {
        None => 0,
        Some(earlier) => text.match_indices('\n').nth(earlier)?.0 + 1,
    };
    let column = usize::try_from(column).ok()?.saturating_sub(1);
    let rest = &text[line_start..];
    Some(
        rest.char_indices()
            .nth(column)
            .map_or(text.len(), |(at, _)| line_start + at),
    )
}

/// The line of the mistake with the mistake underlined, as rustc shows it.
fn render(file: &SourceFile, place: Option<Range<usize>>, problem: &str, remedy: &str) -> String {
    let help = Group::with_title(Level::HELP.secondary_title(normalize_untrusted_str(remedy)));
    let title = normalize_untrusted_str(problem);
    let title = Level::ERROR.primary_title(title);
    let Some(place) = place else {
        let origin = annotate_snippets::Origin::path(file.path.as_str());
        return Renderer::plain().render(&[title.element(origin), help]);
    };
    let snippet = Snippet::source(file.text.as_str())
        .path(file.path.as_str())
        .fold(true)
        .annotation(AnnotationKind::Primary.span(place));
    Renderer::plain().render(&[title.element(snippet), help])
}

/// How a wrong name may be mended: the nearest right one, else all of them.
pub(crate) fn suggest<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> String {
    const MOST_SHOWN: usize = 12;
    let mut right: Vec<&str> = right.into_iter().collect();
    right.sort_unstable();
    right.dedup();
    let distance = |name: &&&str| strsim::damerau_levenshtein(wrong, name);
    if let Some(nearest) = right.iter().min_by_key(distance)
        && distance(&nearest) <= wrong.chars().count().max(3) / 3
    {
        return format!("did you mean `{nearest}`?");
    }
    let shown: Vec<String> = right
        .iter()
        .take(MOST_SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    match (shown.len(), right.len() > MOST_SHOWN) {
        (0, _) => "there is none to name here".to_owned(),
        (_, true) => format!("use one of {}, …", shown.join(", ")),
        (_, false) => format!("use one of {}", shown.join(", ")),
    }
}
