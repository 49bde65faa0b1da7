//! How secrets are read, and that they are shown to nobody.

use std::ffi::OsString;

use super::*;

#[test]
fn secrets_are_read_when_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let written = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        in_file(&path).read()
    };
    assert_eq!(written(b"hunter2").unwrap().reveal(), "hunter2");
    assert_eq!(written(b"hunter2\n").unwrap().reveal(), "hunter2");
    assert_eq!(written(b"hunter2\r\n").unwrap().reveal(), "hunter2");
    assert_eq!(written(b" hunter 2 \n\n").unwrap().reveal(), " hunter 2 \n");
    let environment = |name: &str| (name == "SET").then(|| OsString::from("hunter2\n"));
    let value = variable("SET").read_from(environment).unwrap();
    assert_eq!(value.reveal(), "hunter2\n");

    let place = path.display().to_string();
    for (bytes, why) in [
        (&b""[..], "is empty"),
        (&b"\n"[..], "is empty"),
        (&b"hunter2\xff"[..], "does not hold UTF-8"),
        (&[b'x'; 70_000][..], "is longer than 65536"),
    ] {
        let problem = written(bytes).unwrap_err();
        assert!(
            problem.problem.contains(&place) && problem.problem.contains(why),
            "{problem}"
        );
        assert_eq!(
            (problem.line, problem.file.to_str()),
            (7, Some("centinel.toml"))
        );
    }
    let problem = in_file("/no/such/file").read().unwrap_err();
    assert!(
        problem.problem.contains("/no/such/file cannot be read"),
        "{problem}"
    );
    let problem = variable("UNSET").read_from(environment).unwrap_err();
    assert!(problem.problem.contains("`UNSET` is not set"), "{problem}");
    let problem = variable("EMPTY")
        .read_from(|_| Some(OsString::new()))
        .unwrap_err();
    assert!(problem.problem.contains("`EMPTY` is empty"), "{problem}");
    assert!(
        variable("PATH").read().is_ok(),
        "the process's own environment"
    );
}

#[cfg(unix)]
#[test]
fn a_secret_that_everybody_may_read_is_remarked_on() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "hunter2").unwrap();
    for (mode, remarked) in [(0o644, true), (0o604, true), (0o640, false), (0o600, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let secret = in_file(&path);
        assert_eq!(secret.remark().is_some(), remarked, "{mode:o}");
        assert!(secret.read().is_ok());
    }
    assert_eq!(variable("ANY").remark(), None);
}

#[test]
fn secrets_are_never_shown() {
    const SECRET: &str = "hunter2";
    let shown = |text: &str| {
        let shown = match parse(text) {
            Ok(config) => format!("{config:?} {config:#?}"),
            Err(found) => {
                let lines: Vec<String> = found.iter().map(Problem::to_string).collect();
                format!("{found:?} {}", lines.join("\n"))
            }
        };
        assert!(!shown.contains(SECRET), "{text}\n{shown}");
    };
    // In the place of a secret, as everything that TOML knows and some that it does not.
    let secrets = [
        "password = { env = \"A_PASSWORD\" }",
        "access_key_id = { env = \"KEY_ID\" }",
        "secret_access_key = { file = \"key\" }",
        "\"sasl.password\" = { env = \"B_PASSWORD\" }",
        "registry_password = { file = \"/run/registry\" }",
        "key = { env = \"REPORT_KEY\" }",
    ];
    let forms = [
        "\"hunter2\"",
        "'hunter2'",
        "'''hunter2'''",
        "hunter2",
        "\"hunter2",
        "hunter2\"",
        "[\"hunter2\"]",
        "{ env = \"hunter2\" }",
        "{ env = \"\", value = \"hunter2\" }",
        "{ value = \"hunter2\" }",
        "{ env = { value = \"hunter2\" } }",
        "{ env = hunter2 }",
        "1979-hunter2",
        "1979-05-27Thunter2",
        "0xhunter2",
        "\"\\hunter2\"",
    ];
    for secret in secrets {
        assert!(EVERY_FIELD.contains(secret), "{secret}");
        let name = secret.split(" = ").next().unwrap();
        for form in forms {
            shown(&EVERY_FIELD.replace(secret, &format!("{name} = {form}")));
            shown(&EVERY_FIELD.replace(secret, &format!("{secret}\n{name} = {form}")));
            let misspelt = name.replace("pass", "pas").replace("access", "acess");
            shown(&EVERY_FIELD.replace(secret, &format!("{misspelt} = {form}")));
        }
    }
    // Where people hide them.
    for (right, wrong) in [
        ("s3://bucket", "s3://key:hunter2@bucket"),
        ("s3://bucket/archive", "s3://bucket/archive?key=hunter2"),
        ("http://127.0.0.1:9000", "http://u:hunter2@127.0.0.1:9000"),
        ("https://registry:8081", "https://u:hunter2@registry:8081"),
        ("host = \"127.0.0.1\"", "host = \"u:hunter2@127.0.0.1\""),
        ("https://breaker:7070", "https://u:hunter2@breaker:7070"),
        ("one:9092", "u:hunter2@one:9092"),
        (
            "\"log.queue\" = true",
            "\"sasl.jaas.config\" = \"password=hunter2\"",
        ),
        ("\"log.queue\" = true", "\"sasl.psswrd\" = \"hunter2\""),
        ("\"log.queue\" = true", "\"ssl.key\" = [\"hunter2\"]"),
    ] {
        assert!(EVERY_FIELD.contains(right), "{right}");
        shown(&EVERY_FIELD.replace(right, wrong));
    }
    let text = variable("ANY")
        .read_from(|_| Some(OsString::from(SECRET)))
        .unwrap();
    assert_eq!(
        (text.reveal(), format!("{text:?}")),
        (SECRET, "****".to_owned())
    );
}
