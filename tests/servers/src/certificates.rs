//! Certificates of authorities that nobody else trusts, made by the JDK.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::folder::Folder;
use crate::installed;
use crate::process::run;

/// Of the key stores; it protects nothing.
pub(crate) const STORE_PASSWORD: &str = "store-password";
const DAYS: &str = "30";

/// An authority, and a server at 127.0.0.1 whose certificate it signed.
pub(crate) struct Certificates {
    /// The authority's certificate, PEM.
    pub(crate) authority: PathBuf,
    /// The server's key and certificate, PKCS 12.
    pub(crate) server: PathBuf,
}

/// Makes both in this folder, in files that begin with `name`.
pub(crate) fn make(folder: &Folder, name: &str) -> Certificates {
    let made = Certificates {
        authority: folder.join(&format!("{name}.pem")),
        server: folder.join(&format!("{name}.p12")),
    };
    let keys = &made.server;
    let named = format!("CN=the authority {name} of a test");
    let authority = ["-alias", "authority", "-dname", &named, "-ext", "bc:c"];
    key_pair(keys, &authority);
    let authority = made.authority.display().to_string();
    let exported = ["-alias", "authority", "-rfc", "-file", &authority];
    keytool("-exportcert", keys, &exported);
    let signed = ["-alias", "server", "-signer", "authority"];
    let server = ["-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1"];
    key_pair(keys, &[signed, server].concat());
    // A server is not to show itself as its authority.
    keytool("-delete", keys, &["-alias", "authority"]);
    made
}

fn key_pair(keys: &Path, of: &[&str]) {
    let kind = ["-keyalg", "EC", "-groupname", "secp256r1"];
    let store = ["-storetype", "PKCS12", "-validity", DAYS];
    keytool("-genkeypair", keys, &[of, &kind, &store].concat());
}

fn keytool(command: &str, keys: &Path, arguments: &[&str]) {
    let mut keytool = Command::new(installed::program("keytool"));
    keytool.args([command, "-storepass", STORE_PASSWORD, "-keystore"]);
    keytool.arg(keys).args(arguments);
    run("keytool", &mut keytool, "");
}
