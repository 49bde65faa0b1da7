//! HTML that is escaped by construction: tags and names of attributes are constants of this program, everything
//! else is text and goes through one place.

use std::io::{self, Write};

/// Elements that have no content and no end.
const VOID: [&str; 1] = ["meta"];

/// Writes elements; what was begun must be ended.
pub(super) struct Page<'w> {
    out: &'w mut dyn Write,
    open: Vec<&'static str>,
}

/// Names and values of attributes.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a str)];

impl<'w> Page<'w> {
    pub fn new(out: &'w mut dyn Write) -> io::Result<Page<'w>> {
        out.write_all(b"<!DOCTYPE html>\n")?;
        Ok(Page {
            out,
            open: Vec::new(),
        })
    }

    pub fn begin(&mut self, tag: &'static str, attributes: Attributes<'_>) -> io::Result<()> {
        write!(self.out, "<{tag}")?;
        for (name, value) in attributes {
            write!(self.out, " {name}=\"")?;
            self.text(value)?;
            self.out.write_all(b"\"")?;
        }
        self.out.write_all(b">")?;
        if !VOID.contains(&tag) {
            self.open.push(tag);
        }
        Ok(())
    }

    /// Ends what was begun last.
    pub fn end(&mut self) -> io::Result<()> {
        let Some(tag) = self.open.pop() else {
            return Ok(());
        };
        writeln!(self.out, "</{tag}>")
    }

    /// Any text at all, shown as it is. Characters that would steer the display, such as those that turn the
    /// direction of writing, are shown as a mark instead.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        let mut shown = String::with_capacity(text.len());
        for character in text.chars() {
            match character {
                '&' => shown.push_str("&amp;"),
                '<' => shown.push_str("&lt;"),
                '>' => shown.push_str("&gt;"),
                '"' => shown.push_str("&quot;"),
                '\'' => shown.push_str("&#39;"),
                '\n' | '\t' => shown.push(character),
                '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    shown.push('\u{fffd}');
                }
                steers if steers.is_control() => shown.push('\u{fffd}'),
                plain => shown.push(plain),
            }
        }
        self.out.write_all(shown.as_bytes())
    }

    /// An element that holds text and nothing else.
    pub fn element(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        text: &str,
    ) -> io::Result<()> {
        self.begin(tag, attributes)?;
        self.text(text)?;
        self.end()
    }

    /// A row of a table: cells of this tag.
    pub fn row(&mut self, tag: &'static str, cells: &[&str]) -> io::Result<()> {
        self.begin("tr", &[])?;
        for cell in cells {
            self.element(tag, &[], cell)?;
        }
        self.end()
    }

    /// The style sheet, which is part of this program.
    pub fn style(&mut self, sheet: &'static str) -> io::Result<()> {
        write!(self.out, "<style>\n{sheet}</style>\n")
    }

    /// Ends everything that is open.
    pub fn finish(mut self) -> io::Result<()> {
        while !self.open.is_empty() {
            self.end()?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_wherever_it_stands() {
        let hostile = "<script>alert('1')</script>\" onload=\"x\u{202e}\0";
        let mut bytes = Vec::new();
        let mut page = Page::new(&mut bytes).expect("begun");
        page.begin("p", &[("title", hostile)]).expect("written");
        page.text(hostile).expect("written");
        page.finish().expect("written");
        let text = String::from_utf8(bytes).expect("text");
        let escaped =
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot; onload=&quot;x\u{fffd}\u{fffd}";
        let whole = format!("<!DOCTYPE html>\n<p title=\"{escaped}\">{escaped}</p>\n");
        assert_eq!(text, whole);
    }
}
