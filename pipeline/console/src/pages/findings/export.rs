//! The findings of a filter as a file, written while they are read.

use std::io::{self, Write};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use centinel_findings::{FindingsError, Store};
use futures::StreamExt;
use tokio::sync::mpsc::{Sender, channel};

use crate::Console;
use crate::language::text;
use crate::problem::{Answered, Problem};
use crate::selection::Selection;
use crate::visit::Person;

/// Bytes that are sent at once, and how many such pieces may wait for a slow reader.
const PIECE: usize = 64 << 10;
const WAITING: usize = 4;

#[derive(Clone, Copy)]
enum Form {
    Jsonl,
    Csv,
}

pub async fn jsonl(State(console): State<Arc<Console>>, person: Person) -> Answered {
    export(&console, &person, Form::Jsonl).await
}

pub async fn csv(State(console): State<Arc<Console>>, person: Person) -> Answered {
    export(&console, &person, Form::Csv).await
}

/// Sends what is written, piece by piece.
struct Pieces {
    out: Sender<Result<Bytes, io::Error>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::take(&mut self.piece);
        if piece.is_empty() {
            return Ok(());
        }
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.out.blocking_send(Ok(piece.into())).map_err(gone)
    }
}

async fn export(console: &Console, person: &Person, form: Form) -> Answered {
    let Selection { filter, order } = Selection::of(&person.visit.query)?;
    let (permit, path) = console.findings.export().ok_or_else(|| {
        let why = text(
            "Other exports are under way: try again when they are done.",
            "其他导出正在进行，请稍后再试。",
        );
        Problem::unavailable(person.say(why))
    })?;
    let (out, pieces) = channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let mut pieces = Pieces {
            out,
            piece: Vec::with_capacity(PIECE * 2),
        };
        let written = Store::open_read_only(&path).and_then(|store| match form {
            Form::Jsonl => store.export_jsonl(&filter, order, &mut pieces),
            Form::Csv => store.export_csv(&filter, order, &mut pieces),
        });
        let written = written.and_then(|_| pieces.flush().map_err(FindingsError::Export));
        // A download that ends without its end is seen to be broken off; one that only ends would look whole.
        if let Err(error) = written {
            let _ = pieces
                .out
                .blocking_send(Err(io::Error::other(error.to_string())));
        }
    });
    let pieces = futures::stream::unfold(pieces, |mut pieces| async {
        pieces.recv().await.map(|piece| (piece, pieces))
    });
    // What cannot be asked is refused before anything is sent.
    let mut pieces = Box::pin(pieces.peekable());
    if let Some(Err(error)) = pieces.as_mut().peek().await {
        return Err(Problem::refused(error.to_string()));
    }
    let (kind, name) = match form {
        Form::Jsonl => ("application/x-ndjson", "findings.jsonl"),
        Form::Csv => ("text/csv; charset=utf-8", "findings.csv"),
    };
    let head = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    Ok((head, Body::from_stream(pieces)).into_response())
}
