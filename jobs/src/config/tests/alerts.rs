//! What `[alerts.<name>]` and `[self_check]` say.

use super::*;

const ALERTS: &str = "[alerts.record]\nkind = \"file\"\npath = \"a.jsonl\"\n[alerts.robot]\nkind = \"slack\"\n\
                      url = { env = \"SLACK\" }\n";

#[test]
fn channels_are_read_as_the_alerts_read_them() {
    let config = parse(&format!("{SMALL}{ALERTS}")).unwrap();
    let alerts = config.alerts.unwrap();
    let names: Vec<&str> = alerts
        .channels
        .rules
        .channels
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(names, ["record", "robot"]);
    assert_eq!(alerts.channels.files().next().unwrap().0, "record");
    assert_eq!(parse(SMALL).unwrap().alerts, None);
}

#[test]
fn mistakes_are_told_with_the_line_of_their_channel_and_without_values() {
    let at =
        |text: &str, what: &str| 1 + text.lines().position(|line| line.contains(what)).unwrap();
    let text = format!("{SMALL}{ALERTS}").replace("path = \"a.jsonl\"", "topic = \"T0KEN\"");
    let found = problems(&text);
    assert_eq!(found.len(), 2, "{found:?}");
    for problem in &found {
        assert_eq!(problem.line, at(&text, "[alerts.record]"), "{problem}");
        assert!(!problem.to_string().contains("T0KEN"), "{problem}");
    }
    let unknown = format!("{SMALL}{ALERTS}colour = \"T0KEN\"\n");
    let found = problems(&unknown);
    assert_eq!(found[0].line, at(&unknown, "colour"), "{found:?}");
    assert!(!found[0].to_string().contains("T0KEN"), "{found:?}");
    // They follow the file of findings.
    let alone = format!("{SMALL}{ALERTS}").replace("[findings]\nfile = \"f.jsonl\"\n", "");
    assert!(
        problems(&alone)[0]
            .problem
            .contains("[alerts] needs the file of findings")
    );
}

#[test]
fn a_self_check_has_an_interval_and_a_patience() {
    let read = |more: &str| {
        parse(&format!("{SMALL}[self_check]\n{more}")).map(|config| config.self_check.unwrap())
    };
    let (every, within) = (Duration::seconds(60), Duration::seconds(30));
    assert_eq!(read("").unwrap(), SelfCheckConfig { every, within });
    let (every, within) = (Duration::seconds(300), Duration::seconds(10));
    assert_eq!(
        read("every = \"5m\"\nwithin = \"10s\"\n").unwrap(),
        SelfCheckConfig { every, within }
    );
    for wrong in ["every = \"1s\"", "within = \"1h\"", "often = true"] {
        assert_eq!(read(wrong).unwrap_err().len(), 1, "{wrong}");
    }
}
