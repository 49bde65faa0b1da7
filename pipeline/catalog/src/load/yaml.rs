//! YAML text as a tree in which every value knows its place.
//!
//! Values stay text as written: what `007`, `NO` or `1.50` mean is for the field that holds them to say,
//! never for YAML's guesses.

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, ScanError};

/// A place in a file's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// First byte.
    pub start: usize,
    /// The byte behind the last.
    pub end: usize,
    /// Line of the first byte, from 1.
    pub line: usize,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub value: T,
    pub place: Place,
}

/// One YAML value.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Nothing at all, `~` or `null`.
    Empty,
    Text(String),
    /// Text that YAML cut at a comma, put together again: `decimal(18,2)` in braces without quotes.
    Cut(String),
    List(Vec<Placed<Node>>),
    Map(Vec<(Placed<String>, Placed<Node>)>),
}

/// Why a text is not a tree that a schema file could be.
#[derive(Debug)]
pub(super) struct Refusal {
    pub place: Place,
    pub problem: String,
    pub remedy: &'static str,
}

/// No schema file nests deeper: file, columns, column, money, currency.
const MAX_DEPTH: usize = 16;

/// Reads one YAML document.
pub(super) fn parse(text: &str) -> Result<Placed<Node>, Refusal> {
    let options = granit_parser::options! { emit_comments: false };
    let mut reader = Reader {
        events: Parser::new_from_str_with_options(text, options),
    };
    loop {
        let (event, place) = reader.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::StreamEnd => {
                return Ok(Placed {
                    value: Node::Empty,
                    place,
                });
            }
            event => {
                let node = reader.node(event, place, 0)?;
                reader.end()?;
                return Ok(node);
            }
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, granit_parser::StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Place), Refusal> {
        match self.events.next() {
            Some(Ok((event, span))) => Ok((event, place_of(&span.start, &span.end))),
            Some(Err(error)) => Err(malformed(&error)),
            None => Ok((Event::StreamEnd, Place::default())),
        }
    }

    /// Refuses whatever follows the first document.
    fn end(&mut self) -> Result<(), Refusal> {
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::DocumentEnd => {}
                Event::StreamEnd => return Ok(()),
                _ => {
                    return Err(Refusal {
                        place,
                        problem: "a second document in one file".into(),
                        remedy: "put each table and each event into a file of its own",
                    });
                }
            }
        }
    }

    fn node(
        &mut self,
        event: Event<'a>,
        place: Place,
        depth: usize,
    ) -> Result<Placed<Node>, Refusal> {
        if depth > MAX_DEPTH {
            return Err(Refusal {
                place,
                problem: format!("values nested more than {MAX_DEPTH} deep"),
                remedy: "no field nests that deep; see schemas/README.md",
            });
        }
        match event {
            Event::Scalar(text, style, 0, None) => Ok(Placed {
                value: scalar(&text, style),
                place,
            }),
            Event::SequenceStart(_, 0, None) => self.list(place, depth),
            Event::MappingStart(_, 0, None) => self.map(place, depth),
            _ => Err(Refusal {
                place,
                problem: "YAML anchors (`&`), aliases (`*`) and tags (`!`) are not read here"
                    .into(),
                remedy: "write the value out",
            }),
        }
    }

    fn list(&mut self, start: Place, depth: usize) -> Result<Placed<Node>, Refusal> {
        let mut items = Vec::new();
        loop {
            let (event, place) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Placed {
                    value: Node::List(items),
                    place: Place {
                        end: place.end,
                        ..start
                    },
                });
            }
            items.push(self.node(event, place, depth + 1)?);
        }
    }

    fn map(&mut self, start: Place, depth: usize) -> Result<Placed<Node>, Refusal> {
        let mut entries = Vec::new();
        loop {
            let (event, place) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Placed {
                    value: Node::Map(entries),
                    place: Place {
                        end: place.end,
                        ..start
                    },
                });
            }
            let key = self.node(event, place, depth + 1)?;
            let Node::Text(name) = key.value else {
                return Err(Refusal {
                    place: key.place,
                    problem: "a key that is not a name".into(),
                    remedy: "write `name: value`",
                });
            };
            let (event, place) = self.next()?;
            let value = self.node(event, place, depth + 1)?;
            if !joins_cut_text(&mut entries, &name, key.place, &value.value) {
                let key = Placed {
                    value: name,
                    place: key.place,
                };
                entries.push((key, value));
            }
        }
    }
}

/// In braces YAML ends a plain text at a comma, so `{ type: decimal(18,2) }` reads as two fields. Puts the
/// second into the value of the first, so that one mistake is told and not three.
fn joins_cut_text(
    entries: &mut [(Placed<String>, Placed<Node>)],
    rest: &str,
    place: Place,
    value: &Node,
) -> bool {
    let Some((_, last)) = entries.last_mut() else {
        return false;
    };
    let Node::Text(begin) = &last.value else {
        return false;
    };
    let cut = begin.contains('(') && !begin.contains(')') && rest.ends_with(')');
    let joins = cut && matches!(value, Node::Empty);
    if joins {
        last.value = Node::Cut(format!("{begin},{rest}"));
        last.place.end = place.end;
    }
    joins
}

fn scalar(text: &str, style: ScalarStyle) -> Node {
    match (style, text) {
        (ScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") => Node::Empty,
        _ => Node::Text(text.to_owned()),
    }
}

fn place_of(start: &granit_parser::Marker, end: &granit_parser::Marker) -> Place {
    let first = start.byte_offset().unwrap_or(0);
    Place {
        start: first,
        end: end.byte_offset().unwrap_or(first),
        line: start.line(),
    }
}

fn malformed(error: &ScanError) -> Refusal {
    Refusal {
        place: place_of(error.marker(), error.marker()),
        problem: format!("not YAML: {}", error.info()),
        remedy: "check the indentation, the quotes and the brackets here and on the line before",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_as_written_and_know_their_place() {
        let text = "# é\nnames: [NO, 007, \"null\", 1_000]\nnothing:\n";
        let Node::Map(entries) = parse(text).unwrap().value else {
            panic!("a map")
        };
        let Node::List(items) = &entries[0].1.value else {
            panic!("a list")
        };
        let texts: Vec<_> = items
            .iter()
            .map(|item| format!("{:?}", item.value))
            .collect();
        assert_eq!(
            texts,
            [
                "Text(\"NO\")",
                "Text(\"007\")",
                "Text(\"null\")",
                "Text(\"1_000\")"
            ]
        );
        assert_eq!(&text[items[1].place.start..items[1].place.end], "007");
        assert_eq!(items[1].place.line, 2);
        assert!(matches!(entries[1].1.value, Node::Empty));
    }

    #[test]
    fn what_a_schema_file_never_needs_is_refused() {
        let deep = "[".repeat(40) + &"]".repeat(40);
        for text in [
            "a: &x 1\nb: *x\n",
            "a: !!int 1\n",
            "a: 1\n---\nb: 2\n",
            "[a]: 1\n",
            "a: [1\n",
            &deep,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(matches!(parse("").unwrap().value, Node::Empty));
        assert!(matches!(
            parse("# only a comment\n").unwrap().value,
            Node::Empty
        ));
    }
}
