//! `[interface]`: where a running detection is asked, and by whom.

use std::net::SocketAddr;

use super::form::{Form, Node};
use super::{InterfaceConfig, InterfaceTls};

const FIELDS: [&str; 3] = ["listen", "token", "tls"];
const LISTEN: &str = "127.0.0.1:9464";

/// `[interface]`.
pub(super) fn read(form: &mut Form, node: Node) -> Option<InterfaceConfig> {
    let mut fields = form.table("[interface]", node, "[interface]")?;
    form.only(&mut fields, &FIELDS);
    let of = |name: &str| format!("`{name}` of [interface]");
    let listen = match fields.take("listen") {
        None => LISTEN.parse().ok(),
        Some(node) => {
            let right = |text: &str| text.parse::<SocketAddr>().is_ok();
            let remedy = "write \"127.0.0.1:9464\": an address of this machine, and a port";
            let listen = form.fitting(&of("listen"), node, right, "an address with a port", remedy);
            listen.and_then(|text| text.value.parse().ok())
        }
    };
    let token = form.require(&mut fields, "token", "{ env = \"NAME\" }");
    let token = token.and_then(|node| form.secret(&of("token"), node));
    let had_tls = fields.has("tls");
    let tls = fields.take("tls").and_then(|node| tls(form, node));
    let (listen, token) = (listen?, token?);
    if !had_tls && !listen.ip().is_loopback() {
        form.refuse(
            fields.at,
            "[interface] listens beyond this machine, and its token would go in the clear",
            "add [interface.tls], or listen on 127.0.0.1",
        );
        return None;
    }
    Some(InterfaceConfig {
        line: form.line(fields.at),
        listen,
        token,
        tls,
    })
}

fn tls(form: &mut Form, node: Node) -> Option<InterfaceTls> {
    let mut fields = form.table("[interface.tls]", node, "[interface.tls]")?;
    form.only(&mut fields, &["certificate", "key", "ca"]);
    let mut path = |form: &mut Form, name: &str, example: &str| {
        let node = form.require(&mut fields, name, example)?;
        form.path(&format!("`{name}` of [interface.tls]"), node)
    };
    let certificate = path(form, "certificate", "\"chain.pem\"");
    let key = path(form, "key", "\"key.pem\"");
    let ca = fields.take("ca");
    let ca = ca.and_then(|node| form.path("`ca` of [interface.tls]", node));
    Some(InterfaceTls {
        certificate: certificate?,
        key: key?,
        ca,
    })
}
