//! Files of JSON Lines to which lines are only added, each durable before anything relies on it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::Serialize;

/// The whole lines at the end of a file, oldest first, of at most so many bytes; none where there is no file.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<Vec<u8>>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let skipped = length.saturating_sub(most);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    // What follows the last end of a line was never acknowledged; what precedes the first may be half a line.
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

/// Adds a line, and returns when it is on the disk. Half a line that a crash left behind is cut off first.
pub fn add(folder: &Path, name: &str, line: &impl Serialize) -> io::Result<()> {
    let path = folder.join(name);
    let is_new = !path.exists();
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(&path)?;
    // Several processes may write.
    file.lock()?;
    cut_off_half_a_line(&mut file)?;
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    file.write_all(&bytes)?;
    file.sync_data()?;
    if is_new {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn cut_off_half_a_line(file: &mut File) -> io::Result<()> {
    let mut length = file.metadata()?.len();
    let mut last = [0];
    while length > 0 {
        file.seek(SeekFrom::Start(length - 1))?;
        file.read_exact(&mut last)?;
        if last == *b"\n" {
            break;
        }
        length -= 1;
    }
    if length < file.metadata()?.len() {
        file.set_len(length)?;
    }
    Ok(())
}
