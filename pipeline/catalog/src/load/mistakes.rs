//! Mistakes collected on the way, so that one run shows them all.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str};

use super::Diagnostic;
use super::yaml::{Place, Placed};

/// A schema file's path, as shown, and its text.
#[derive(Debug)]
pub(super) struct SourceFile {
    pub path: String,
    pub text: String,
}

/// All mistakes found so far.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    list: Vec<Diagnostic>,
    left_out: usize,
}

/// More mistakes than a person reads at once; the rest are counted.
const MAX_MISTAKES: usize = 1000;

impl Mistakes {
    /// A mistake at a place in a file.
    pub fn at(
        &mut self,
        file: &SourceFile,
        place: Place,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (problem, remedy) = (problem.into(), remedy.into());
        if self.has_room() {
            let rendered = render_at(file, place, &problem, &remedy);
            let (file, line) = (file.path.clone(), place.line);
            self.list.push(Diagnostic {
                file,
                line,
                problem,
                remedy,
                rendered,
            });
        }
    }

    /// A mistake of a whole file or folder.
    pub fn of(&mut self, path: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        let (problem, remedy) = (problem.into(), remedy.into());
        if self.has_room() {
            let rendered = render_of(path, &problem, &remedy);
            self.list.push(Diagnostic {
                file: path.to_owned(),
                line: 0,
                problem,
                remedy,
                rendered,
            });
        }
    }

    /// Every mistake, by file and line.
    pub fn into_list(mut self) -> Vec<Diagnostic> {
        self.list
            .sort_by(|left, right| (&left.file, left.line).cmp(&(&right.file, right.line)));
        if let (true, Some(last)) = (self.left_out > 0, self.list.last()) {
            let problem = format!("{} more mistakes are not shown", self.left_out);
            let remedy = "mend those shown first".to_owned();
            let (file, rendered) = (
                last.file.clone(),
                format!("error: {problem}\n  help: {remedy}"),
            );
            self.list.push(Diagnostic {
                file,
                line: 0,
                problem,
                remedy,
                rendered,
            });
        }
        self.list
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn has_room(&mut self) -> bool {
        let room = self.list.len() < MAX_MISTAKES;
        self.left_out += usize::from(!room);
        room
    }
}

/// The line of the mistake with the mistake underlined, as rustc shows it.
fn render_at(file: &SourceFile, place: Place, problem: &str, remedy: &str) -> String {
    let start = place.start.min(file.text.len());
    let line_start = file.text[..start]
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let line_end = file.text[start..]
        .find('\n')
        .map_or(file.text.len(), |newline| start + newline);
    // The renderer cuts a long line before the mark, but not the mark itself.
    let rest = first_characters(&file.text[start..line_end], 120);
    let line = &file.text[line_start..start + rest.len()];
    let mark = &rest[..rest.len().min(place.end.max(start) - start)];
    let marked = first_characters(mark, 60).trim_end().len();
    let first = start - line_start;
    let snippet = Snippet::source(line)
        .line_start(place.line.max(1))
        .path(file.path.as_str())
        .annotation(AnnotationKind::Primary.span(first..first + marked));
    let report = [
        Level::ERROR.primary_title(problem).element(snippet),
        Group::with_title(Level::HELP.secondary_title(normalize_untrusted_str(remedy))),
    ];
    Renderer::plain().render(&report)
}

fn first_characters(text: &str, count: usize) -> &str {
    text.char_indices()
        .nth(count)
        .map_or(text, |(end, _)| &text[..end])
}

fn render_of(path: &str, problem: &str, remedy: &str) -> String {
    let report = [
        Level::ERROR
            .primary_title(problem)
            .element(annotate_snippets::Origin::path(path)),
        Group::with_title(Level::HELP.secondary_title(normalize_untrusted_str(remedy))),
    ];
    Renderer::plain().render(&report)
}

/// How a wrong name may be mended: the nearest right one, else all of them.
pub(super) fn suggest<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> String {
    const MOST_SHOWN: usize = 12;
    let right: Vec<&str> = right.into_iter().collect();
    if let Some(nearest) = nearest(wrong, &right) {
        return format!("did you mean `{nearest}`?");
    }
    match right.as_slice() {
        [] => "there is none to name here".to_owned(),
        [only] => format!("write `{only}`"),
        several => {
            let shown: Vec<_> = several
                .iter()
                .take(MOST_SHOWN)
                .map(|name| format!("`{name}`"))
                .collect();
            let more = if several.len() > MOST_SHOWN {
                ", …"
            } else {
                ""
            };
            format!("use one of {}{more}", shown.join(", "))
        }
    }
}

fn nearest<'a>(wrong: &str, right: &[&'a str]) -> Option<&'a str> {
    const LONGEST: usize = 100;
    if wrong.len() > LONGEST {
        return None;
    }
    let wrong = wrong.to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&wrong, &name.to_lowercase());
    let best = right.iter().min_by_key(|name| distance(name))?;
    (distance(best) <= wrong.chars().count().max(3) / 3).then_some(*best)
}

/// Whether a name of a table, event, entity or column is one; says so if not.
pub(super) fn check_name(mistakes: &mut Mistakes, file: &SourceFile, name: &Placed<String>) {
    const LONGEST: usize = 64;
    let text = name.value.as_str();
    let well_formed = text.bytes().enumerate().all(|(index, byte)| match byte {
        b'a'..=b'z' | b'_' => true,
        b'0'..=b'9' => index > 0,
        _ => false,
    });
    if !well_formed || text.is_empty() || text.len() > LONGEST {
        let remedy =
            "small letters a-z, digits and `_`, not beginning with a digit, at most 64 in all";
        mistakes.at(
            file,
            name.place,
            format!("`{}` is not a name", shorten(text)),
            remedy,
        );
    }
}

/// Text from a file as it may stand in a message: cut short, and without characters that steer a terminal.
pub(super) fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    let text = match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    normalize_untrusted_str(&text)
}
