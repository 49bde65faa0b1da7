//! How far the breaker has been told, kept beside the state.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The form of the file.
const FORM: &str = "centinel/breaker-report/1";

/// Everything before this byte of this file was told, and taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    form: String,
    /// The file of findings.
    pub findings: PathBuf,
    /// Bytes of it, to the end of a line.
    pub offset: u64,
}

impl Place {
    /// A place in a file.
    pub fn new(findings: &Path, offset: u64) -> Place {
        Place {
            form: FORM.into(),
            findings: findings.to_owned(),
            offset,
        }
    }

    /// Reads it; none where nothing was told yet.
    ///
    /// # Errors
    /// When it is there and says nothing that can be used.
    pub fn load(path: &Path) -> Result<Option<Place>, String> {
        let text = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| format!("{}: {error}", path.display()))?,
        };
        let place = serde_json::from_slice::<Place>(&text).map_err(|error| error.to_string());
        let place = place.and_then(|place| match place.form == FORM {
            true => Ok(place),
            false => Err("it is of another form".to_owned()),
        });
        place.map(Some).map_err(|error| {
            format!(
                "{}: {error}: remove it, and the breaker is told anew what is open",
                path.display()
            )
        })
    }

    /// Writes it, whole or not at all. An older place is as right: what is told again counts once.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(self).map_err(std::io::Error::other)?)?;
        file.sync_data()?;
        fs::rename(&beside, path)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("breaker-report.json");
        assert_eq!(Place::load(&path), Ok(None));
        let place = Place::new(Path::new("/findings.jsonl"), 4711);
        place.save(&path).unwrap();
        assert_eq!(Place::load(&path), Ok(Some(place)));
        for wrong in ["", "{}", r#"{"form":"x/9","findings":"f","offset":1}"#] {
            fs::write(&path, wrong).unwrap();
            let said = Place::load(&path).unwrap_err();
            assert!(said.contains("remove it"), "{said}");
        }
    }
}
