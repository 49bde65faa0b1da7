//! What `[drills.<name>]` says.

use super::*;
use crate::schedule::{Cron, Missed};

const DRILL: &str = "centinel = \"config/1\"\n[drills.weekly]\ncron = \"0 4 * * mon\"\n";

#[test]
fn what_a_drill_says_is_read_and_the_rest_is_as_usual() {
    let usual = DrillConfig {
        name: "weekly".to_owned(),
        line: 2,
        input: Vec::new(),
        seed: 1,
        orders: 500,
        kinds: Vec::new(),
        with_breaker: true,
        timing: Timing {
            cron: Cron::parse("0 4 * * mon").unwrap(),
            zone: chrono_tz::Tz::UTC,
            missed: Missed::CatchUp,
            differs: false,
        },
        reports: "etc/reports".into(),
        timeout: Duration::seconds(3_600),
    };
    // Who only drills needs no sources and no state either.
    let config = parse(DRILL).unwrap();
    assert_eq!(
        (config.sources.len(), &config.drills),
        (0, &vec![usual.clone()])
    );
    let every_field = format!(
        "{DRILL}seed = 7\norders = 900\nkinds = [\"duplicate-refund\", \"lost-refund\"]\nwith_breaker = false\n\
         zone = \"Asia/Shanghai\"\nmissed = \"skip\"\nreports = \"the-reports\"\ntimeout = \"10m\"\n"
    );
    let expected = DrillConfig {
        seed: 7,
        orders: 900,
        kinds: vec![FaultKind::DuplicateRefund, FaultKind::LostRefund],
        with_breaker: false,
        timing: Timing {
            zone: "Asia/Shanghai".parse().unwrap(),
            missed: Missed::Skip,
            ..usual.timing.clone()
        },
        reports: "etc/the-reports".into(),
        timeout: Duration::seconds(600),
        ..usual
    };
    assert_eq!(parse(&every_field).unwrap().drills, [expected]);
    let copied = parse(&format!("{DRILL}input = [\"a.jsonl\", \"/b.jsonl\"]\n")).unwrap();
    let files: [PathBuf; 2] = ["etc/a.jsonl".into(), "/b.jsonl".into()];
    assert_eq!(copied.drills[0].input, files);
}

#[test]
fn mistakes_in_drills_are_told_with_their_line_and_remedy() {
    #[rustfmt::skip]
    let table = [
        ("cron = \"0 4 * * mon\"", "", 2, "drill `weekly` has no `cron`", "add `cron = "),
        ("0 4 * * mon", "0 4 * *", 3, "five fields", "minute, hour"),
        ("weekly", "\"a/b\"", 2, "no name that a folder could have", "small letters"),
        ("mon\"", "mon\"\norders = 5", 4, "`orders` of drill `weekly` cannot be 5", "from 60"),
        ("mon\"", "mon\"\nkinds = [\"duplicate-refnd\"]", 4, "there is no fault `duplicate-refnd`", "did you mean `duplicate-refund`?"),
        ("mon\"", "mon\"\nkinds = []", 4, "`kinds` of drill `weekly` names 0", "remove the line"),
        ("mon\"", "mon\"\ninput = [\"a\"]\nseed = 2", 5, "it copies `input`", "remove `seed`"),
        ("mon\"", "mon\"\nwith_breaker = \"yes\"", 4, "`with_breaker` of drill `weekly` must be", "true"),
        ("mon\"", "mon\"\nsnapshot = \"lake\"", 4, "unknown field `snapshot` in drill `weekly`", "use one of"),
        ("mon\"\n", "mon\"\n[audits.weekly]\nsnapshot = \"lake\"\ncron = \"@daily\"\n", 2, "drill `weekly` has the name of an audit", "another name"),
    ];
    for (from, to, line, problem, remedy) in table {
        let text = DRILL.replacen(from, to, 1);
        assert_ne!(text, DRILL, "{from}");
        let found = problems(&text);
        let fits = |found: &Problem| {
            found.line == line && found.problem.contains(problem) && found.remedy.contains(remedy)
        };
        assert!(found.iter().any(fits), "{to}: {found:#?}");
    }
}
