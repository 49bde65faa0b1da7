//! What is said of a wrong file.

use super::*;

/// Each of these in the place of something right gives one problem: at this line, which says this and that.
#[test]
fn mistakes_are_told_with_their_line_and_remedy() {
    #[rustfmt::skip]
    let table = [
        // The file as a whole.
        ("\"config/1\"", "\"config/2\"", 1, "`config/2` is not a form", "write centinel = \"config/1\""),
        ("centinel = \"config/1\"", "", 1, "the configuration has no `centinel`", "add `centinel = \"config/1\"`"),
        ("state = \"state\"", "", 1, "has no `state`", "add `state = \"state\"`"),
        ("state = \"state\"", "state = ", 2, "this is not TOML", "quotes"),
        ("state = \"state\"", "state = \"a\"\nstate = \"b\"", 3, "duplicate key", "keep one"),
        ("state = \"state\"", "state = \"\"", 2, "`state` is empty", "write its value"),
        ("state = \"state\"", "state = \"state\"\nrule = \"r\"", 3, "unknown field `rule` in the configuration", "did you mean `rules`?"),
        ("[detection]", "[detecton]", 22, "unknown field `detecton` in the configuration", "did you mean `detection`?"),
        ("[findings]\nfile = \"f.jsonl\"", "findings = \"f.jsonl\"", 24, "unknown field `findings` in [detection]", "use one of"),
        ("[findings]\nfile = \"f.jsonl\"", "[findings]", 24, "[findings] has no `file`", "add `file = "),
        ("file = \"f.jsonl\"", "file = \"f.jsonl\"\nstor = \"f.db\"", 26, "unknown field `stor` in [findings]", "did you mean `store`?"),
        ("file = \"f.jsonl\"", "file = \"f.jsonl\"\nstore = 7", 26, "`store` of [findings] must be a text, not a number", "quotes"),
        // Numbers and spans.
        ("batch_rows = 10", "batch_rows = 0", 23, "`batch_rows` of [detection] cannot be 0", "from 1 to 1000000"),
        ("batch_rows = 10", "batch_rows = -5", 23, "cannot be -5", "from 1 to 1000000"),
        ("batch_rows = 10", "batch_rows = 99999999999999999999", 23, "cannot be 99999999999999999999", "from 1"),
        ("batch_rows = 10", "batch_rows = \"10\"", 23, "must be a whole number, not a text", "without quotes"),
        ("batch_rows = 10", "batch_rows = 1.5", 23, "not a number with a point", "whole number"),
        ("batch_rows = 10", "batch_wait = 50", 23, "`batch_wait` of [detection] must be a span of time, not a number", "from \"1ms\" to \"10s\""),
        ("batch_rows = 10", "batch_wait = \"50\"", 23, "cannot be `50`", "ms, s, m, h or d"),
        ("batch_rows = 10", "batch_wait = \"1h\"", 23, "cannot be `1h`", "from \"1ms\" to \"10s\""),
        ("batch_rows = 10", "silent_after = \"0s\"", 23, "cannot be `0s`", "from \"1s\" to \"1d\""),
        // The snapshot that a state begins with.
        ("batch_rows = 10", "bootstrap = \"ftp://host/it\"", 23, "`bootstrap` of [detection] cannot begin with `ftp://`", "s3://"),
        ("batch_rows = 10", "bootstrap = \"s3://key:word@bucket\"", 23, "holds an account", "environment"),
        ("batch_rows = 10", "bootstrap_as_of = \"2026-11-22T08:00:00Z\"", 23, "has `bootstrap_as_of` and no `bootstrap`", "remove it"),
        ("batch_rows = 10", "bootstrap = \"it\"\nbootstrap_as_of = \"today\"", 24, "`today` is not a time", "2026-11-22T08:00:00Z"),
        // The archive.
        ("s3://bucket", "gs://bucket", 21, "cannot begin with `gs://`", "s3://bucket/prefix"),
        ("s3://bucket", "s3:///bucket", 21, "names no bucket", "3 to 63"),
        ("s3://bucket", "s3://key:word@bucket", 21, "holds an account", "credentials are `access_key_id`"),
        ("s3://bucket", "file://bucket", 21, "is not the URL of a folder", "three slashes"),
        ("url = \"s3://bucket/archive\"", "", 20, "[archive] has no `url`", "add `url = "),
        ("url = \"s3://bucket/archive\"", "url = \"archive\"\nregion = \"x\"", 22, "`region` of [archive] has no use for a folder", "remove it"),
        ("[detection]", "endpoint = \"127.0.0.1:9000\"\n[detection]", 22, "`endpoint` of [archive] is not an address", "https://host:port"),
        ("[detection]", "access_key_id = { env = \"ID\" }\n[detection]", 22, "has `access_key_id` and no `secret_access_key`", "add `secret_access_key"),
        ("[detection]", "spool_bytes = 1048576\n[detection]", 20, "less than `segment_bytes`", "one segment"),
        // Sources.
        ("kind = \"file\"", "kind = \"files\"", 18, "`kind` of source `log` cannot be `files`", "did you mean `file`?"),
        ("kind = \"file\"", "kind = \"mongodb\"", 18, "cannot be `mongodb`", "use one of `binlog`, `kafka`, `file`"),
        ("kind = \"file\"", "kind = 1", 18, "must be a text, not a number", "\"binlog\", \"kafka\", \"file\""),
        ("kind = \"file\"", "", 17, "source `log` has no `kind`", "add `kind = \"binlog\""),
        ("kind = \"file\"", "knd = \"file\"", 17, "source `log` has no `kind`", "rename `knd` to `kind`"),
        ("[sources.log]", "[sources.log.old]", 17, "source `log` has no `kind`", "write [sources.\"log.old\"]"),
        ("path = \"log.jsonl\"", "path = [\"a\"]", 19, "must be a text, not a list", "in quotes"),
        ("path = \"log.jsonl\"", "", 17, "source `log` has no `path`", "add `path = "),
        ("path = \"log.jsonl\"", "path = \"a\"\nbrokers = \"b\"", 20, "unknown field `brokers` in source `log`", "use one of `kind`, `path`"),
        // Binary logs.
        ("host = \"db.example.com\"", "hst = \"db\"", 5, "unknown field `hst` in source `db`", "did you mean `host`?"),
        ("db.example.com", "db:3306", 5, "`host` of source `db` is not the name", "have fields of their own"),
        ("server_id = 1", "server_id = 0", 8, "`server_id` of source `db` cannot be 0", "from 1 to 4294967295"),
        ("server_id = 1", "", 3, "source `db` has no `server_id`", "no other replica"),
        ("server_id = 1", "server_id = 1\nport = 99999", 9, "`port` of source `db` cannot be 99999", "from 1 to 65535"),
        ("server_id = 1", "server_id = 1\ntls = \"require\"", 9, "`tls` of source `db` cannot be `require`", "did you mean `required`?"),
        ("server_id = 1", "server_id = 1\ntls = \"off\"\nca = \"a\"", 10, "`ca` of source `db` has no use", "tls = \"required\""),
        ("server_id = 1", "server_id = 1\nsnapshot = \"yes\"", 9, "must be true or false, not a text", "without quotes"),
        ("server_id = 1", "server_id = 1\nprogress = \"servr\"", 9, "`progress` of source `db` cannot be `servr`", "did you mean `server`?"),
        ("server_id = 1", "server_id = 1\nprogress = { heartbeat = \"a.b\" }", 9, "has no `heartbeat_table`", "add `heartbeat_table"),
        ("server_id = 1", "server_id = 1\nprogress = { heartbeat_table = \"beat\" }", 9, "`beat` names no table", "database and table"),
        ("[sources.events]", "[sources.two]\nkind = \"binlog\"\nhost = \"h\"\nuser = \"u\"\npassword = { env = \"P\" }\nserver_id = 1\n[sources.events]", 9, "source `two` has the `server_id` 1 of source `db` (line 3)", "of its own"),
        // Secrets.
        ("{ env = \"PASSWORD\" }", "\"word\"", 7, "`password` of source `db` stands in the file itself", "write { env = \"NAME\" } or { file = "),
        ("{ env = \"PASSWORD\" }", "{ evn = \"P\" }", 7, "unknown field `evn`", "did you mean `env`?"),
        ("{ env = \"PASSWORD\" }", "{}", 7, "has neither `env` nor `file`", "write { env"),
        ("{ env = \"PASSWORD\" }", "{ env = \"P\", file = \"p\" }", 7, "has both `env` and `file`", "keep one"),
        ("{ env = \"PASSWORD\" }", "{ env = \"pass word\" }", 7, "is not the name of an environment variable", "capital letters"),
        // Kafka.
        ("brokers = \"one:9092\"", "brokers = \"one\"", 11, "`brokers` of source `events` is not a list of brokers", "write host:port"),
        ("brokers = \"one:9092\"", "broker = \"one:9092\"", 11, "unknown field `broker`", "did you mean `brokers`?"),
        ("progress = \"broker\"", "", 9, "source `events` has no `progress`", "heartbeat = "),
        ("progress = \"broker\"", "progress = { heartbeat_topic = \"beat\" }", 12, "unknown field `heartbeat_topic`", "did you mean `heartbeat`?"),
        ("progress = \"broker\"", "progress = { heartbeat = \"pay.beat\" }", 12, "is not a name of the schemas", "small letters"),
        ("progress = \"broker\"", "progress = { heartbeat = \"beat\" }\nbroker_delay = \"2s\"", 13, "`broker_delay` of source `events` has no use", "remove it"),
        ("progress = \"broker\"", "progress = \"broker\"\nstart = \"begin\"", 13, "`start` of source `events` cannot be `begin`", "use one of `earliest`, `latest`"),
        ("progress = \"broker\"", "progress = \"broker\"\nsettings = { \"group.id\" = \"g\" }", 13, "setting `group.id` of source `events` is not for you to set", "`group` of the source"),
        ("progress = \"broker\"", "progress = \"broker\"\nsettings = { \"isolation.level\" = \"g\" }", 13, "not for you to set", "committed"),
        ("progress = \"broker\"", "progress = \"broker\"\n[sources.events.settings]\nsecurity.protocol = \"SSL\"", 14, "setting `security` of source `events` is a table", "\"security.protocol\" = "),
        ("progress = \"broker\"", "progress = \"broker\"\nsettings = { \"sasl.password\" = \"word\" }", 13, "stands in the file itself", "write { env"),
        ("progress = \"broker\"", "progress = \"broker\"\nsettings = { \"sasl.pass.secret.x\" = \"word\" }", 13, "stands in the file itself", "write { env"),
        ("topic = \"paid\"", "topc = \"paid\"", 13, "has neither `topic` nor `pattern`", "add `topic"),
        ("topic = \"paid\"", "topic = \"paid*\"", 14, "`topic` of a topic of source `events` is not the name of a topic", "write `pattern`"),
        ("topic = \"paid\"", "pattern = \"paid\"", 14, "is not a pattern for whole names", "begin with ^"),
        ("topic = \"paid\"", "topic = \"a\"\npattern = \"^a$\"", 13, "has both `topic` and `pattern`", "keep one"),
        ("format = \"json-event\"", "format = \"json\"", 15, "`format` of a topic of source `events` cannot be `json`", "did you mean `json-event`?"),
        ("format = \"json-event\"", "", 13, "has no `format`", "add `format = "),
        ("event = \"paid\"", "", 13, "has no `event`", "add `event = "),
        ("event = \"paid\"", "event = \"Paid\"", 16, "is not a name of the schemas", "small letters"),
        ("format = \"json-event\"", "format = \"lines\"", 16, "unknown field `event` in a topic of source `events`", "use one of `topic`"),
        ("format = \"json-event\"\nevent = \"paid\"", "format = \"maxwell\"", 12, "the topic on line 13 is written by a tool", "heartbeat"),
        ("format = \"json-event\"\nevent = \"paid\"", "format = \"debezium-avro\"\nregistry = \"http://r:1\"\nregistry_ca = \"a\"", 17, "`registry_ca` of a topic of source `events` has no use", "https://"),
        ("event = \"paid\"", "event = \"paid\"\n[[sources.events.topics]]\ntopic = \"paid\"\nformat = \"lines\"", 17, "names `paid` twice", "the first is on line 13"),
    ];
    let mut failures = Vec::new();
    for (right, wrong, line, problem, remedy) in table {
        assert!(SMALL.contains(right), "{right}");
        let found = problems(&SMALL.replacen(right, wrong, 1));
        let told = found.iter().any(|found| {
            found.line == line && found.problem.contains(problem) && found.remedy.contains(remedy)
        });
        // A name that is wrong is also missed under its right one, where that is required.
        let most = 1 + usize::from(problem.contains("unknown field") || problem.contains("has n"));
        if !told || found.len() > most {
            failures.push((wrong, line, problem, remedy, found));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn debezium_connectors_that_lose_cents_are_refused() {
    let text = EVERY_FIELD.replace("\"numeric\"", "\"double\"");
    let found = problems(&text);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].line, 60);
    assert!(found[0].problem.contains("a float cannot hold money"));
}

#[test]
fn all_mistakes_are_told_at_once_in_order() {
    let text = SMALL
        .replace("user =", "usr =")
        .replace("\"one:9092\"", "7")
        .replace("path =", "pth =");
    let lines: Vec<usize> = problems(&text).iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [3, 6, 11, 17, 19]);
    let text = "a = 'x\nb = 1 1\nc =\n";
    let lines: Vec<usize> = problems(text).iter().map(|problem| problem.line).collect();
    assert!(
        lines.contains(&1) && lines.contains(&2) && lines.contains(&3),
        "{lines:?}"
    );
}

/// Lines that hold one field; settings have no fixed names.
fn lines_with_fields() -> Vec<(usize, &'static str, &'static str)> {
    let lines = EVERY_FIELD.lines().enumerate();
    lines
        .filter_map(|(index, line)| {
            line.split_once(" = ")
                .map(|(name, value)| (index, name, value))
        })
        .filter(|(_, name, _)| !name.starts_with('"'))
        .collect()
}

fn with_line(index: usize, line: &str) -> String {
    let mut lines: Vec<&str> = EVERY_FIELD.lines().collect();
    lines[index] = line;
    lines.join("\n")
}

#[test]
fn every_misspelt_name_is_refused_with_what_was_meant() {
    let fields = lines_with_fields();
    assert!(fields.len() > 50);
    for (index, name, value) in fields {
        let (wrong, shown) = (format!("{name}x"), format!("`{name}x`"));
        let found = problems(&with_line(index, &format!("{wrong} = {value}")));
        // Without these, the table's other fields cannot be known, and what is missed is told instead.
        if ["kind", "format"].contains(&name) {
            let missed = format!("has no `{name}`");
            assert!(
                found.iter().any(|found| found.problem.contains(&missed)),
                "{found:#?}"
            );
            continue;
        }
        let told = found.iter().find(|found| found.problem.contains(&shown));
        let told = told.unwrap_or_else(|| panic!("{wrong}: {found:#?}"));
        assert_eq!(
            (told.line, told.problem.contains("unknown field")),
            (index + 1, true)
        );
        let short = name.len() < 3;
        assert!(
            short || told.remedy == format!("did you mean `{name}`?"),
            "{told}"
        );
    }
}

#[test]
fn every_value_of_a_wrong_kind_is_refused_at_its_line() {
    for (index, name, _) in lines_with_fields() {
        for wrong in [
            "2026-11-22",
            "1.5",
            "[[]]",
            "\"\"",
            "{ a = { b = 1 } }",
            "-1",
        ] {
            let found = problems(&with_line(index, &format!("{name} = {wrong}")));
            let told = found.iter().any(|found| found.line == index + 1);
            assert!(told, "{name} = {wrong}: {found:#?}");
        }
    }
}

#[test]
fn whatever_is_cut_off_or_left_out_never_ends_the_program() {
    let (mut refused, lines) = (0, EVERY_FIELD.lines().count() + 1);
    for end in (0..EVERY_FIELD.len()).filter(|end| EVERY_FIELD.is_char_boundary(*end)) {
        if let Err(found) = parse(&EVERY_FIELD[..end]) {
            assert!(
                !found.is_empty() && found.iter().all(|found| found.line <= lines),
                "{found:?}"
            );
            refused += 1;
        }
    }
    assert!(refused > 1_000);
    for index in 0..EVERY_FIELD.lines().count() {
        let _ = parse(&with_line(index, ""));
    }
}

#[test]
fn files_that_cannot_be_configurations_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("centinel.toml");
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let found = Config::load(&path).unwrap_err();
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0].file, path);
        found[0].clone()
    };
    let problem = refused(b"centinel = 'config/1'\nstate = '\xff'\n");
    assert_eq!(
        (problem.line, problem.problem.as_str()),
        (2, "this line is not UTF-8 text")
    );
    let problem = refused(&[b'#'; (1 << 20) + 1]);
    assert!(problem.problem.contains("larger than 1 MiB"));
    std::fs::write(&path, SMALL).unwrap();
    assert_eq!(
        Config::load(&path).unwrap().state,
        folder.path().join("state")
    );
    // A comment that fills it to its limit.
    let full = format!("{SMALL}#{}", "x".repeat((1 << 20) - SMALL.len() - 1));
    std::fs::write(&path, full).unwrap();
    assert!(Config::load(&path).is_ok());
    std::fs::remove_file(&path).unwrap();
    let found = Config::load(&path).unwrap_err();
    assert!(found[0].problem.contains("cannot be read"), "{found:#?}");
}

#[test]
fn too_much_is_refused() {
    let sources: String = (0..65)
        .map(|index| format!("[sources.s{index}]\nkind = 'file'\npath = 'a'\n"))
        .collect();
    let found = problems(&format!("centinel = 'config/1'\nstate = 's'\n{sources}"));
    assert_eq!(found[0].problem, "65 sources");
    let topics = "[[sources.events.topics]]\ntopic = 'a'\nformat = 'lines'\n".repeat(1_001);
    let found = problems(&SMALL.replace("[sources.log]", &format!("{topics}[sources.log]")));
    assert!(found[0].problem.contains("1002 topics"), "{found:#?}");
    let unknown: String = (0..300).map(|index| format!("x{index} = 1\n")).collect();
    let found = problems(&format!("{unknown}{SMALL}"));
    assert_eq!(found.len(), 201);
    assert_eq!(found[200].problem, "100 more problems are not shown");
}

#[test]
fn what_stands_in_a_message_steers_no_terminal() {
    let name = "\\u001b[31m\\u202e".to_owned() + &"x".repeat(500);
    let found = problems(&format!("{SMALL}\"{name}\" = 1\n"));
    let text = found[0].to_string();
    assert!(
        !text.contains('\u{1b}') && !text.contains('\u{202e}'),
        "{text:?}"
    );
    assert!(text.len() < 300, "{text}");
}

/// What an audit says, changed so, gives one problem in its line.
#[test]
fn mistakes_in_audits_are_told_with_their_line_and_remedy() {
    const AUDIT: &str =
        "centinel = \"config/1\"\n[audits.nightly]\nsnapshot = \"lake\"\ncron = \"@daily\"\n";
    #[rustfmt::skip]
    let table = [
        ("cron = \"@daily\"", "", 2, "audit `nightly` has no `cron`", "add `cron = "),
        ("@daily", "60 * * * *", 4, "`60` is no minute", "from 0 to 59"),
        ("@daily", "@dayly", 4, "five fields", "minute, hour"),
        ("cron =", "crom =", 2, "audit `nightly` has no `cron`", "add `cron = "),
        ("nightly", "\"a/b\"", 2, "no name that a folder could have", "small letters"),
        ("snapshot = \"lake\"", "", 2, "says not what is audited", "add `snapshot = "),
        ("snapshot = \"lake\"", "snapshot = \"lake\"\narchive = \"a\"", 2, "both `snapshot` and `archive`", "keep one"),
        ("\"lake\"", "\"lake/%j\"", 3, "holds `%j`", "%Y, %m, %d"),
        ("\"lake\"", "\"ftp://lake\"", 3, "cannot begin with `ftp://`", "s3://"),
        ("\"lake\"", "\"s3://key:word@lake\"", 3, "holds an account", "environment"),
        ("snapshot = \"lake\"", "archive = \"a/%Y\"", 3, "`archive` of audit `nightly` holds a time", "less `lag`"),
        ("snapshot = \"lake\"", "archive = \"a\"\ncut = \"at-rest\"", 4, "has no use for an archive", "remove it"),
        ("@daily\"", "@daily\"\nzone = \"Asia/Shanghia\"", 5, "`Asia/Shanghia` is no time zone", "did you mean `Asia/Shanghai`?"),
        ("@daily\"", "@daily\"\nzone = \"+08:00\"", 5, "is no time zone", "IANA"),
        ("@daily\"", "@daily\"\nmissed = \"catchup\"", 5, "cannot be `catchup`", "did you mean `catch-up`?"),
        ("@daily\"", "@daily\"\nrules = []", 5, "`rules` of audit `nightly` names 0", "remove the line"),
        ("@daily\"", "@daily\"\nrules = \"a\"", 5, "must be a list", "write ["),
        ("@daily\"", "@daily\"\nkeep = 1", 5, "`keep` of audit `nightly` cannot be 1", "from 2"),
        ("@daily\"", "@daily\"\ntimeout = \"0s\"", 5, "cannot be `0s`", "from \"1s\""),
        ("@daily\"", "@daily\"\nmemory = \"4\"", 5, "`memory` of audit `nightly` cannot be `4`", "2GB or 512MiB"),
        ("@daily\"", "@daily\"\nfail_on = \"never\"", 5, "cannot be `never`", "`critical`"),
        ("@daily\"", "@daily\"\nsudden_change = {}", 5, "has no limit", "rows_percent"),
        ("@daily\"", "@daily\"\nsudden_change = { rows_percent = 0 }", 5, "cannot be 0", "from 1"),
        ("@daily\"", "@daily\"\nsudden_change = { rows_percent = 5, over = 2, from = 3 }", 5, "`from` is more than `over`", "at most"),
        ("@daily\"", "@daily\"\nsudden_change = { rows_procent = 5, totals_percent = 5 }", 5, "unknown field `rows_procent`", "did you mean `rows_percent`?"),
        ("@daily\"", "@daily\"\nreport = \"r\"", 5, "unknown field `report` in audit `nightly`", "did you mean `reports`?"),
    ];
    for (from, to, line, problem, remedy) in table {
        let text = AUDIT.replacen(from, to, 1);
        assert_ne!(text, AUDIT, "{from}");
        let found = problems(&text);
        let fits = |found: &Problem| {
            found.line == line && found.problem.contains(problem) && found.remedy.contains(remedy)
        };
        assert!(found.iter().any(fits), "{to}: {found:#?}");
    }
}

#[test]
fn mistakes_of_the_interface_are_told_with_their_remedy() {
    let right = "[interface]\nlisten = \"127.0.0.1:0\"\ntoken = { env = \"TOKEN\" }\n";
    assert!(parse(&format!("{SMALL}{right}")).is_ok());
    let tls = "\n[interface.tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n";
    let beyond = right.replace("127.0.0.1", "0.0.0.0");
    assert!(parse(&format!("{SMALL}{beyond}{tls}")).is_ok());
    #[rustfmt::skip]
    let table = [
        ("127.0.0.1:0", "localhost:9464", "is not an address with a port", "127.0.0.1:9464"),
        ("127.0.0.1:0", "0.0.0.0:9464", "listens beyond this machine", "[interface.tls]"),
        ("127.0.0.1:0", "[::]:9464", "listens beyond this machine", "[interface.tls]"),
        ("{ env = \"TOKEN\" }", "\"hunter2\"", "stands in the file itself", "env"),
        ("token", "tokens", "unknown field `tokens`", "did you mean `token`?"),
        ("token = { env = \"TOKEN\" }", "", "[interface] has no `token`", "add `token = "),
    ];
    for (from, to, problem, remedy) in table {
        let wrong = right.replacen(from, to, 1);
        assert_ne!(wrong, right, "{from}");
        let found = problems(&format!("{SMALL}{wrong}"));
        let fits =
            |found: &Problem| found.problem.contains(problem) && found.remedy.contains(remedy);
        assert!(found.iter().any(fits), "{to}: {found:#?}");
        let shown = format!("{found:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn mistakes_of_the_breaker_are_told_with_their_line_and_remedy() {
    let report = "[breaker_report]\nurl = \"https://b\"\nkey = { env = \"K\" }\n";
    let text = format!("{SMALL}{report}{BREAKER}");
    let at = |wanted: &str| {
        let place = text.lines().position(|line| line == wanted);
        1 + place.unwrap_or_else(|| panic!("{wanted}"))
    };
    assert!(parse(&text).is_ok(), "{:?}", parse(&text));
    #[rustfmt::skip]
    let table = [
        ("url = \"https://b\"", "", at("[breaker_report]"), "[breaker_report] has no `url`", "add `url = "),
        ("https://b", "http://b", at("url = \"https://b\""), "`url` of [breaker_report] is not an address that is safe", "https://"),
        ("key = { env = \"K\" }", "key = \"word\"", at("key = { env = \"K\" }"), "stands in the file itself", "env"),
        ("key = { env = \"K\" }", "key = { env = \"K\" }\ndeadline = \"1ms\"", at("[breaker_report]") + 3, "cannot be `1ms`", "from \"100ms\""),
        ("key = { env = \"K\" }", "key = { env = \"K\" }\nsuspicion = true", at("[breaker_report]") + 3, "unknown field `suspicion`", "did you mean `suspicions`?"),
        ("[findings]\nfile = \"f.jsonl\"", "", at("[breaker_report]") - 1, "needs the file of findings", "add [findings]"),
        ("store = \"breaker.db\"", "", at("[breaker]"), "missing field `store`", "breaker-service/README.md"),
        ("on_error = \"allow\"", "on_error = \"open\"", at("on_error = \"allow\""), "unknown variant `open`", "has no default"),
        ("most_in_an_hour = 20", "most_in_an_hour = \"hunter2\"", at("most_in_an_hour = 20"), "a value is wrong, expected u32", "README.md"),
        ("127.0.0.1:7070", "0.0.0.0:7070", at("[breaker]"), "beyond this machine without TLS", "README.md"),
    ];
    for (from, to, line, problem, remedy) in table {
        let wrong = text.replacen(from, to, 1);
        assert_ne!(wrong, text, "{from}");
        let found = problems(&wrong);
        let fits = |found: &Problem| {
            found.line == line && found.problem.contains(problem) && found.remedy.contains(remedy)
        };
        assert!(found.iter().any(fits), "{to}: {found:#?}");
        assert!(
            found
                .iter()
                .all(|found| !found.to_string().contains("hunter2"))
        );
    }
    let hook = "[breaker.webhook]\nurl = \"https://p\"\nsecret_env = \"my own secret\"\n";
    let found = problems(&format!("{text}{hook}"));
    assert!(found[0].problem.contains("`secret_env`"), "{found:#?}");
    assert!(!format!("{found:?}").contains("my own"), "{found:#?}");
}
