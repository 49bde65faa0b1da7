//! What would keep messages from being read, as far as their registry goes.

use super::client::{Complaint, Registrar, Trouble};
use super::registry::{Known, Registry, runtime};
use crate::Problem;

impl From<Complaint> for Problem {
    fn from(complaint: Complaint) -> Problem {
        Problem {
            what: complaint.what,
            remedy: complaint.remedy.into(),
        }
    }
}

/// Whether the registry answers, and lets the account in.
pub(crate) fn check(registry: &Registry) -> Result<(), Problem> {
    let runtime = runtime()?;
    let registrar = Registrar::new(registry.options())?;
    Ok(runtime.block_on(registrar.try_out())?)
}

/// Whether there is a schema that can be read by for the values of a topic without messages.
pub(crate) fn check_subject(registry: &Registry, topic: &str) -> Result<(), Problem> {
    let runtime = runtime()?;
    let registrar = Registrar::new(registry.options())?;
    let subject = format!("{topic}-value");
    let problem = |what: String, remedy: &str| Problem {
        what,
        remedy: remedy.into(),
    };
    match runtime.block_on(registrar.newest(&subject)) {
        Ok(Known::Schema(_)) => Ok(()),
        Ok(Known::Unusable(why)) => Err(problem(
            format!("the newest schema of `{subject}` cannot be read: {why}"),
            "let the connector write Avro by its own converter, or correct the topic's format",
        )),
        Err(Trouble::Missing(_)) => Err(problem(
            format!(
                "the schema registry {} has no subject `{subject}`, and `{topic}` has no message",
                registry.options().url
            ),
            "correct `registry` or the topic, or let the connector write its first message",
        )),
        Err(Trouble::Away(complaint)) => Err(complaint.into()),
    }
}
