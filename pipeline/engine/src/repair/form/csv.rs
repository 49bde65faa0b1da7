//! CSV as RFC 4180 has it: commas, texts in `"…"` with `""` for a quote, a first line of names. `\N` is null.

use centinel_catalog::Catalog;

use super::super::change::{Changes, Mistake};
use super::cells::{COLUMNS, Cell, Gathered};

/// What stands for null.
const NULL: &str = "\\N";

/// Reads a whole file.
pub fn read(catalog: &Catalog, text: &str) -> Result<Changes, Vec<Mistake>> {
    let mut records = Records {
        rest: text,
        line: 1,
    };
    let Some(head) = records.next() else {
        return Err(vec![Mistake::new(
            "",
            "the file is empty",
            "write a first line of names",
        )]);
    };
    let (_, names) = head.map_err(|mistake| vec![mistake])?;
    let mut places = Vec::new();
    for wanted in COLUMNS {
        match names.iter().position(|(name, _)| name == wanted) {
            Some(place) => places.push(place),
            None => {
                return Err(vec![Mistake::new(
                    "line 1",
                    format!("there is no column `{wanted}`"),
                    format!("begin the file with {}", COLUMNS.join(",")),
                )]);
            }
        }
    }
    if let Some((strange, _)) = names
        .iter()
        .find(|(name, _)| !COLUMNS.contains(&name.as_str()))
    {
        return Err(vec![Mistake::new(
            "line 1",
            format!("`{strange}` is not known"),
            format!("keep {}", COLUMNS.join(",")),
        )]);
    }
    let mut gathered = Gathered::default();
    for record in records {
        if gathered.is_full() {
            break;
        }
        let (line, fields) = match record {
            Ok(record) => record,
            Err(mistake) => {
                gathered.refuse(mistake);
                break;
            }
        };
        if let [(only, false)] = fields.as_slice()
            && only.is_empty()
        {
            continue;
        }
        let place = format!("line {line}");
        if fields.len() != names.len() {
            gathered.refuse(Mistake::new(
                place,
                format!(
                    "has {} fields, the first line has {}",
                    fields.len(),
                    names.len()
                ),
                "quote texts that hold commas, quotes or line ends",
            ));
            continue;
        }
        let values = std::array::from_fn(|index| {
            let (text, quoted) = &fields[places[index]];
            (*quoted || text != NULL).then(|| text.clone())
        });
        let mut cell = Cell { place, values };
        // An empty field says nothing where nothing can be said.
        for (said_by, field) in [("insert", 4), ("delete", 5)] {
            if cell.values[1].as_deref() == Some(said_by)
                && cell.values[field].as_deref() == Some("")
            {
                cell.values[field] = None;
            }
        }
        gathered.push(catalog, cell);
    }
    gathered.finish(catalog)
}

/// The records of a text: each with its first line, its fields, and whether they were quoted.
struct Records<'a> {
    rest: &'a str,
    line: usize,
}

type Fields = Vec<(String, bool)>;

impl Iterator for Records<'_> {
    type Item = Result<(usize, Fields), Mistake>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let line = self.line;
        let mut fields = Fields::new();
        loop {
            let (field, end) = match self.rest.strip_prefix('"') {
                Some(_) => match self.quoted() {
                    Ok(field) => field,
                    Err(mistake) => {
                        self.rest = "";
                        return Some(Err(mistake));
                    }
                },
                None => self.plain(),
            };
            fields.push(field);
            if end {
                return Some(Ok((line, fields)));
            }
        }
    }
}

impl Records<'_> {
    /// A field without quotes, and whether its record ends.
    fn plain(&mut self) -> ((String, bool), bool) {
        let length = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
        let text = &self.rest[..length];
        let ends = !self.rest[length..].starts_with(',');
        self.rest = self.rest.get(length + 1..).unwrap_or("");
        self.line += usize::from(ends);
        let text = if ends {
            text.trim_end_matches('\r')
        } else {
            text
        };
        ((text.to_owned(), false), ends)
    }

    fn quoted(&mut self) -> Result<((String, bool), bool), Mistake> {
        let place = format!("line {}", self.line);
        let mut text = String::new();
        let mut rest = &self.rest[1..];
        loop {
            let Some(quote) = rest.find('"') else {
                return Err(Mistake::new(
                    place,
                    "a quote is never closed",
                    "write \" behind the text, and \"\" for a quote in it",
                ));
            };
            text.push_str(&rest[..quote]);
            rest = &rest[quote + 1..];
            match rest.strip_prefix('"') {
                Some(more) => {
                    text.push('"');
                    rest = more;
                }
                None => break,
            }
        }
        self.line += text.matches('\n').count();
        let ends = match rest.chars().next() {
            None => true,
            Some(',') => false,
            Some('\n' | '\r') => true,
            Some(_) => {
                return Err(Mistake::new(
                    place,
                    "something stands behind a closing quote",
                    "write \"\" for a quote within a text",
                ));
            }
        };
        let rest = rest.strip_prefix('\r').unwrap_or(rest);
        self.rest = rest.get(1..).unwrap_or("");
        self.line += usize::from(ends);
        Ok(((text, true), ends))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<Vec<String>> {
        let records = Records {
            rest: text,
            line: 1,
        };
        records
            .map(|record| {
                record
                    .unwrap()
                    .1
                    .into_iter()
                    .map(|(text, _)| text)
                    .collect()
            })
            .collect()
    }

    #[test]
    fn quotes_commas_and_line_ends_are_read() {
        assert_eq!(
            fields("a,b\r\n\"x, \"\"y\"\"\n\",\n1,2"),
            [vec!["a", "b"], vec!["x, \"y\"\n", ""], vec!["1", "2"]]
        );
        let broken = Records {
            rest: "a,\"b",
            line: 1,
        };
        assert!(broken.last().unwrap().is_err());
    }
}
