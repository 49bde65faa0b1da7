//! Files that other processes write, read up to a limit.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// The whole lines at the end of a file, oldest first, of at most so many bytes; none where there is no file.
pub fn tail(path: &Path, most: u64) -> io::Result<Vec<Vec<u8>>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let skipped = file.metadata()?.len().saturating_sub(most);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    // What follows the last end of a line is still being written.
    let end = bytes.iter().rposition(|byte| *byte == b'\n');
    bytes.truncate(end.map_or(0, |end| end + 1));
    let lines = bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    Ok(lines
        .skip(usize::from(skipped > 0))
        .map(<[u8]>::to_vec)
        .collect())
}

/// A whole file of at most so many bytes.
pub fn whole(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(io::Error::other(format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.jsonl");
        assert!(tail(&path, 100).unwrap().is_empty());
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        assert_eq!(
            tail(&path, 100).unwrap(),
            [b"one".to_vec(), b"two".to_vec()]
        );
        // The first of what is read may be half a line.
        assert_eq!(tail(&path, 9).unwrap(), [b"two".to_vec()]);
        assert!(whole(&path, 10).is_err());
        assert_eq!(whole(&path, 11).unwrap().len(), 11);
    }
}
