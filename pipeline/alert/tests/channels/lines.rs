use centinel_alert::Outcome;

use crate::samples::{ALERT, DIGEST, message, nasty};
use crate::{later, outlet, send};

#[tokio::test]
async fn messages_are_lines_and_a_line_that_was_cut_off_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.jsonl");
    std::fs::write(&path, "{\"cut o").unwrap();
    let outlet = outlet(
        &format!("kind = \"file\"\npath = \"{}\"", path.display()),
        &[],
    );
    for message in [message(ALERT), message(DIGEST), nasty()] {
        assert_eq!(send(&outlet, &message).await, Outcome::Delivered);
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (4, "{\"cut o"));
    assert!(text.ends_with('\n'));
    let read = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    assert_eq!(read(lines[1]), read(ALERT));
    assert_eq!(read(lines[2]), read(DIGEST));
    // The file may be moved away.
    std::fs::rename(&path, folder.path().join("old")).unwrap();
    assert_eq!(send(&outlet, &message(ALERT)).await, Outcome::Delivered);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
}

#[tokio::test]
async fn what_is_no_file_is_said_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let outlet = outlet(&format!("kind = \"file\"\npath = \"{path}\""), &[]);
    let (why, _) = later(send(&outlet, &message(ALERT)).await);
    assert_eq!(why, format!("{path}: it is no file: name one"));
}
