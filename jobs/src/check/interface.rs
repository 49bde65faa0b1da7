//! Whether detection's interface could be served.

use std::io::ErrorKind;
use std::net::TcpListener;

use centinel_interface::acceptor;

use super::Probe;
use crate::config::{Config, InterfaceConfig, Problem};
use crate::interface::Settings;
use crate::printer::complain;

/// Looks at the token and the files of TLS, and tries the address. A detection that runs has it already.
pub struct InterfaceProbe<'a>(pub &'a Config, pub &'a InterfaceConfig);

impl Probe for InterfaceProbe<'_> {
    fn probe(&self) -> Vec<Problem> {
        let InterfaceProbe(config, interface) = self;
        let problem =
            |what: String, remedy: &str| Problem::new(&config.file, interface.line, what, remedy);
        let mut found = Vec::new();
        if let Err(what) = Settings::of(interface) {
            found.push(problem(what, "put a long random token there"));
        }
        if let Some(tls) = &interface.tls
            && let Err(what) = acceptor(&tls.certificate, &tls.key, "[interface.tls]")
        {
            found.push(problem(
                what,
                "correct `certificate` and `key` of [interface.tls]",
            ));
        }
        match TcpListener::bind(interface.listen) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AddrInUse => complain(format_args!(
                "note: {} is in use: by the detection that runs, or by something else",
                interface.listen
            )),
            Err(error) => {
                let what = format!("{} cannot be listened on: {error}", interface.listen);
                found.push(problem(what, "correct `listen` of [interface]"));
            }
        }
        found
    }
}
