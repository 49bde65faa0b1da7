//! What `[console]` says.

use super::*;

const CONSOLE: &str = "[console]\nlisten = \"127.0.0.1:8081\"\norigin = \"https://console.example.com\"\n\
                       breaker = \"https://breaker:7070/\"\nca = \"ca.pem\"\ninterface = \"http://127.0.0.1:9464\"\n\
                       token = { env = \"INTERFACE_TOKEN\" }\nreports = [\"reports\", \"/plans\"]\n";

#[test]
fn every_field_is_read() {
    let text =
        format!("{SMALL}{CONSOLE}[console.tls]\ncertificate = \"chain.pem\"\nkey = \"key.pem\"\n");
    let config = parse(&text).unwrap();
    assert!(
        config
            .secrets()
            .iter()
            .any(|secret| secret.what.contains("[console]"))
    );
    let console = config.console.unwrap();
    assert_eq!(console.listen, "127.0.0.1:8081".parse().unwrap());
    assert_eq!(
        console.origin.as_deref(),
        Some("https://console.example.com")
    );
    assert_eq!(console.breaker, "https://breaker:7070");
    assert_eq!(console.ca, Some("etc/ca.pem".into()));
    let (interface, _, ca) = console.interface.unwrap();
    assert_eq!(
        (interface.as_str(), ca),
        ("http://127.0.0.1:9464", Some("etc/ca.pem".into()))
    );
    assert_eq!(
        console.reports,
        [PathBuf::from("etc/reports"), "/plans".into()]
    );
    assert_eq!(
        console.tls,
        Some(("etc/chain.pem".into(), "etc/key.pem".into()))
    );
    assert_eq!(parse(SMALL).unwrap().console, None);
}

#[test]
fn what_it_does_not_say_the_file_says() {
    let interface =
        "[interface]\nlisten = \"127.0.0.1:9000\"\ntoken = { env = \"INTERFACE_TOKEN\" }\n";
    let console = parse(&format!("{SMALL}{BREAKER}{interface}[console]\n"))
        .unwrap()
        .console
        .unwrap();
    assert_eq!(console.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(console.breaker, "http://127.0.0.1:7070");
    assert_eq!(console.interface.unwrap().0, "http://127.0.0.1:9000");
}

#[test]
fn mistakes_are_told_with_what_would_be_right() {
    for (right, wrong, problem, remedy) in [
        (
            "127.0.0.1:8081",
            "8081",
            "`listen` of [console] is not an address with a port",
            "127.0.0.1:8080",
        ),
        (
            "127.0.0.1:8081",
            "0.0.0.0:8081",
            "passwords would go in the clear",
            "[console.tls]",
        ),
        (
            "https://console.example.com",
            "https://console.example.com/",
            "`origin` of [console]",
            "scheme and host alone",
        ),
        (
            "https://breaker:7070/",
            "http://breaker:7070",
            "`breaker` of [console] is not an address that is safe",
            "https://",
        ),
        (
            "breaker = \"https://breaker:7070/\"\n",
            "",
            "does not say where the breaker is",
            "add `breaker = ",
        ),
        (
            "token = { env = \"INTERFACE_TOKEN\" }\n",
            "",
            "one of `interface` and `token`",
            "write both",
        ),
        (
            "token = { env",
            "tokens = { env",
            "unknown field `tokens`",
            "did you mean `token`?",
        ),
    ] {
        let text = format!("{SMALL}{CONSOLE}").replace(right, wrong);
        let found = problems(&text);
        let told = found
            .iter()
            .any(|told| told.problem.contains(problem) && told.remedy.contains(remedy));
        assert!(told, "{wrong}: {found:?}");
    }
}
