//! Files that people name, read without waiting for anybody.

use std::fs::{File, FileType};
use std::io::{Error, Read, Result};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Reads a file, at most so many bytes of it. A pipe, a socket or a device is refused before it is opened: that might
/// wait for ever.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn read_file(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a file to be read, and nothing else, as [`read_file`] does.
///
/// # Errors
/// When it cannot be opened, or is none.
pub fn open_file(path: &Path) -> Result<File> {
    let kind = std::fs::metadata(path)?.file_type();
    match kind.is_file() {
        true => File::open(path),
        false => Err(Error::other(format!("it is {}, not a file", name(kind)))),
    }
}

fn name(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "some text").unwrap();
        assert_eq!(read_file(&path, 4).unwrap(), b"some");
        let refusal = |path: &Path| read_file(path, 4).unwrap_err().to_string();
        assert_eq!(refusal(folder.path()), "it is a folder, not a file");
        assert_eq!(
            refusal(Path::new("/dev/null")),
            "it is a device, not a file"
        );
        let socket = folder.path().join("socket");
        let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(refusal(&socket), "it is a socket, not a file");
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        assert_eq!(refusal(&pipe), "it is a pipe, not a file");
    }
}
