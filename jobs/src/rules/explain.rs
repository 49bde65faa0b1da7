//! `centinel rules explain`.

use super::named;
use crate::exit::Status;
use crate::folders::Folders;
use crate::printer::{Printer, complain};

pub fn run(folders: &Folders, ids: &[String]) -> Result<Status, Status> {
    let (catalog, rules) = folders.load()?;
    let mut printer = Printer::stdout();
    let mut status = Status::Clean;
    for rule in named(&rules, ids)? {
        match centinel_rules::explain(&rule, &catalog) {
            Ok(page) => printer.line(page),
            Err(error) => {
                complain(format_args!("error: {}: {error}", rule.path));
                status = Status::CouldNotJudge;
            }
        }
    }
    Ok(printer.finish(status))
}
