use crate::folder::Folder;

/// In `file`, `old` becomes `new`; then `line` of that file (0: the whole of it) must be told with texts
/// that hold `problem` and `remedy`, and nothing else must be.
struct Case {
    file: &'static str,
    old: &'static str,
    new: &'static str,
    line: usize,
    problem: &'static str,
    remedy: &'static str,
}

const fn case(
    file: &'static str,
    old: &'static str,
    new: &'static str,
    line: usize,
    problem: &'static str,
    remedy: &'static str,
) -> Case {
    Case {
        file,
        old,
        new,
        line,
        problem,
        remedy,
    }
}

const S: &str = "settlement.yaml";
const E: &str = "entry.yaml";
const M: &str = "settled.yaml";
const N: &str = "entities.yaml";

#[rustfmt::skip]
const CASES: &[Case] = &[
    // The file's form.
    case(S, "centinel: schema/1\n", "", 1, "has no `centinel`", "add `centinel: schema/1`"),
    case(S, "schema/1", "schema/2", 1, "`schema/2` is not a form", "write `centinel: schema/1`"),
    case(N, "entities/1", "entities/9", 1, "`entities/9` is not a form", "write `centinel: entities/1`"),
    case(S, "table: settlement\n", "", 1, "names no table and no event", "add `table:"),
    case(M, "event: settled\n", "event: settled\ntable: settled\nprimary_key: [order_no]\n", 2, "both `table` and `event`", "keep `table`"),
    case(S, "lookback:", "lokback:", 21, "unknown field `lokback` in the file", "did you mean `lookback`?"),
    case(S, "lookback:", "colour:", 21, "unknown field `colour`", "use one of `centinel`, `table`, `event`"),
    case(S, "unit: minor", "unti: minor, unit: minor", 14, "unknown field `unti` in money of column `amount`", "did you mean `unit`?"),
    case(S, "lookback: 30d", "begins: [ordr]", 21, "begins names `ordr`, to which no row", "did you mean `order`?"),
    case(S, "lookback: 30d", "changed_at: updated_at", 21, "`changed_at` stands twice", "the first is on line 20"),
    case(S, "  status: text", "  rate: text\n  status: text", 17, "`rate` stands twice in columns", "the first is on line 15"),
    case(S, "system: settlement\n", "", 1, "has no `system`", "add `system:"),
    case(S, "source: settlement-db", "source: [settlement-db]", 4, "source is not a single value", "write one value"),
    case(S, "source: settlement-db", "source: Settlement DB", 4, "`Settlement DB` is not a name of a source", "small letters"),
    case(S, "system: settlement", "system:", 3, "system is empty", "write its value"),
    case(S, "primary_key: [settlement_no]", "primary_key: settlement_no", 5, "primary_key is not a list", "also for a single one"),
    case(S, "primary_key: [settlement_no]", "primary_key: []", 5, "primary_key is an empty list", "name at least one"),
    case(S, "primary_key: [settlement_no]\n", "", 1, "has no `primary_key`", "add `primary_key:"),
    case(S, "[batch_no, batch_day]", "[batch_no, batch_no]", 8, "`batch_no` stands twice in entity `batch`", "keep one"),
    case(S, "lookback: 30d", "lookback: \"30d", 22, "not YAML", "check the indentation, the quotes"),
    case(S, "lookback: 30d", "lookback: &a 30d", 21, "anchors", "write the value out"),
    case(S, "link_patience: 5m\n", "link_patience: 5m\n---\na: b\n", 23, "a second document", "file of its own"),
    // Names and spans.
    case(M, "event: settled", "event: Settled", 2, "`Settled` is not a name", "small letters a-z"),
    case(S, "  rate: decimal(9,6)", "  9rate: decimal(9,6)", 15, "`9rate` is not a name", "not beginning with a digit"),
    case(S, "lookback: 30d", "lookback: 30 days", 21, "lookback: `30 days` is not a span", "such as 30s or 90d"),
    case(S, "link_patience: 5m", "link_patience: soon", 22, "link_patience: `soon`", "such as 30s or 90d"),
    // Columns and types.
    case(S, "  rate: decimal(9,6)", "  rate: float", 15, "`float` is a float", "declare decimal(p,s): a float cannot hold money"),
    case(S, "  rate: decimal(9,6)", "  rate: DOUBLE", 15, "`DOUBLE` is a float", "declare decimal(p,s): a float cannot hold money"),
    case(S, "  rate: decimal(9,6)", "  rate: { type: real }", 15, "`real` is a float", "declare decimal(p,s): a float cannot hold money"),
    case(S, "  rate: decimal(9,6)", "  rate: bigint", 15, "`bigint` is not a column type", "write `integer`"),
    case(S, "  rate: decimal(9,6)", "  rate: varchar(20)", 15, "`varchar(20)` is not a column type", "write `text`"),
    case(S, "  rate: decimal(9,6)", "  rate: txet", 15, "`txet` is not a column type", "did you mean `text`?"),
    case(S, "  rate: decimal(9,6)", "  rate: decimal", 15, "does not say how many digits", "such as decimal(18,2)"),
    case(S, "  rate: decimal(9,6)", "  rate: decimal(9)", 15, "does not say how many digits", "such as decimal(18,2)"),
    case(S, "  rate: decimal(9,6)", "  rate: decimal(39,6)", 15, "cannot have 39 digits", "1 to 38"),
    case(S, "  rate: decimal(9,6)", "  rate: decimal(0,0)", 15, "cannot have 0 digits", "1 to 38"),
    case(S, "  rate: decimal(9,6)", "  rate: decimal(5,6)", 15, "6 digits behind the point, but only 5", "decimal(5,2)"),
    case(S, "  rate: decimal(9,6)", "  rate: { nullable: true }", 15, "column `rate` has no `type`", "add `type: text`"),
    case(S, "sensitive: true", "sensitive: yes", 16, "`yes` is not a value of sensitive of column `payer`", "use one of `true`, `false`"),
    case(S, "  rate: decimal(9,6)", "  rate:", 15, "column `rate` is empty", "write its value"),
    case(S, "{ type: integer, money", "{ type: decimal(18,2), money", 14, "`decimal(18,2)` stands in braces without quotes", "write \"decimal(18,2)\""),
    // Money.
    case(S, "currency: CNY", "currency: RMB", 14, "`RMB` is not an ISO 4217 currency", "write `CNY`"),
    case(S, "currency: CNY", "currency: usd", 14, "`usd` is not an ISO 4217 currency", "write `USD`"),
    case(S, "currency: CNY", "currency: ZZZ", 14, "`ZZZ` is not an ISO 4217 currency", "a current ISO 4217 code"),
    case(S, "{ currency: CNY, unit: minor }", "{ unit: minor }", 14, "money of column `amount` has no `currency`", "add `currency: CNY`"),
    case(S, "{ currency: CNY, unit: minor }", "{ currency: CNY }", 14, "money of column `amount` has no `unit`", "add `unit: major`"),
    case(S, "unit: minor", "unit: fen", 14, "`fen` is not a value of unit", "use one of `major`, `minor`"),
    case(S, "unit: minor", "unit: minor, minor_digits: 3", 14, "minor_digits beside a fixed currency", "ISO 4217 gives CNY 2 digits"),
    case(E, "unit: major }", "unit: major, minor_digits: 9 }", 13, "cannot be `9`", "from 0 to 8"),
    case(S, "type: integer, money", "type: text, money", 14, "not a number", "integer or decimal(p,s)"),
    case(S, "type: integer, money", "type: \"decimal(38,37)\", money", 14, "has 39 digits behind the point", "at most 36"),
    case(E, "{ column: currency }", "{ column: curency }", 13, "unknown column `curency`", "did you mean `currency`?"),
    case(E, "  currency: text", "  currency: integer", 13, "currency column `currency` is integer", "name a text column"),
    // Columns named elsewhere.
    case(E, "[entry_no]", "[entry_on]", 5, "unknown column `entry_on`", "did you mean `entry_no`?"),
    case(E, "  entry_no: text", "  entry_no: { type: text, nullable: true }", 5, "primary-key column `entry_no` is nullable", "remove `nullable`"),
    case(E, "[entry_no]", "[detail]", 5, "primary-key column `detail` is json", "written alike"),
    case(S, "column: status", "column: sttus", 19, "unknown column `sttus`", "did you mean `status`?"),
    case(S, "column: status", "column: batch_day", 19, "state column `batch_day` is integer", "name a text column"),
    case(S, "final: [SETTLED]", "final: [SETLED]", 19, "`SETLED` is final but not among the values", "did you mean `SETTLED`?"),
    case(S, ", final: [SETTLED]", "", 19, "state has no `final`", "add `final:"),
    case(S, "final: [SETTLED] }", "final: [SETTLED], transitions: { CREATD: [SETTLED] } }", 19, "`CREATD` stands in transitions but not among the values", "did you mean `CREATED`?"),
    case(S, "final: [SETTLED] }", "final: [SETTLED], transitions: { CREATED: [PAID] } }", 19, "`PAID` stands in transitions but not among the values", "use one of `CREATED`, `SETTLED`"),
    case(S, "final: [SETTLED] }", "final: [SETTLED], transitions: { CREATED: SETTLED } }", 19, "transitions of `CREATED` is not a list", "also for a single one"),
    case(S, "lookback: 30d", "flow: { amount: amuont }", 21, "unknown column `amuont`", "did you mean `amount`?"),
    case(S, "lookback: 30d", "flow: { amount: rate }", 21, "amount `rate` of flow is not money", "declares `money`"),
    case(S, "lookback: 30d", "flow: { amount: amount, account: updated_at }", 21, "column `updated_at` of flow is timestamp", "text or integer"),
    case(S, "lookback: 30d", "flow: { amount: amount, merchat: payer }", 21, "unknown field `merchat` in flow", "did you mean `merchant`?"),
    case(S, "lookback: 30d", "flow: { amount: amount, states: [SETLED] }", 21, "`SETLED` is not among the values of state", "did you mean `SETTLED`?"),
    case(S, "lookback: 30d", "flow: { amount: amount, direction: { column: status, plus: [IN], minus: [IN] } }", 21, "`IN` is both plus and minus", "keep it in one"),
    case(E, "  detail: json", "  detail: json\nflow: { amount: amount, states: [DONE] }", 15, "the table declares no `state`", "declare `state`"),
    case(M, "columns:", "flow: { amount: a }\ncolumns:", 7, "an event declares no `flow`", "moves nothing"),
    case(S, "changed_at: updated_at", "changed_at: update_at", 20, "unknown column `update_at`", "did you mean `updated_at`?"),
    case(S, "changed_at: updated_at", "changed_at: status", 20, "changed_at column `status` is text", "name a timestamp column"),
    // Entities and links.
    case(M, "  order: [order_no]", "  ordr: [order_no]", 6, "unknown entity `ordr`", "did you mean `order`?"),
    case(S, "  order: [order_no]", "  order: [order_number]", 7, "unknown column `order_number`", "`settlement_no`"),
    case(S, "[batch_no, batch_day]", "[batch_no]", 8, "1 column for a key of 2 columns", "[batch_no, batch_day], in this order"),
    case(S, "batch: [batch_no, batch_day]", "batch: [batch_no, rate]", 8, "entity key column `rate` is decimal(9,6)", "text or integer"),
    case(S, "  order_no: text", "  order_no: integer", 7, "key `order_no` of entity `order` is integer here, but another type in `settled`", "one type"),
    case(E, "through: settlement", "through: setlement", 7, "unknown table `setlement`", "did you mean `settlement`?"),
    case(E, ", by: [settlement_no]", "", 7, "entity `order` has no `by`", "add `by:"),
    case(E, "by: [settlement_no]", "by: [settlement_no, position]", 7, "2 columns for the primary key of `settlement`, which has 1 column", "[settlement_no], in this order"),
    case(E, "by: [settlement_no]", "by: [position]", 7, "`position` is integer, but `settlement.settlement_no` is text", "the same type"),
    case(E, "by: [settlement_no]", "by: [settlement]", 7, "unknown column `settlement`", "did you mean `settlement_no`?"),
    case(E, "order: { through: settlement, by: [settlement_no] }", "batch: { through: settled, by: [settlement_no] }", 7, "`settled` does not lead to entity `batch`", "add `batch` to the entities of `settled`, or link through `settlement`"),
    case(E, "through: settlement, by: [settlement_no]", "through: entry, by: [entry_no]", 7, "entry → entry", "name its own columns"),
    // Events.
    case(M, "columns:", "primary_key: [order_no]\ncolumns:", 7, "an event declares no `primary_key`", "`message_id` is an event's primary key"),
    case(M, "columns:", "state: { column: a, values: [b], final: [b] }\ncolumns:", 7, "an event declares no `state`", "never changes"),
    case(M, "  order_no: text", "  message_id: text\n  order_no: text", 8, "does not declare `message_id`", "remove it"),
    // Where rows and messages come from.
    case(S, "lookback: 30d", "from: pay_1.pay.settlement", 21, "`pay_1.pay.settlement` names no physical tables", "`database.table`"),
    case(S, "lookback: 30d", "from: [ \"a.b\", settlement ]", 21, "`settlement` names no physical tables", "pay_*.payment_*"),
    case(S, "lookback: 30d", "from: []", 21, "from is an empty list", "name at least one"),
    case(S, "lookback: 30d", "shard: shart", 21, "unknown column `shart`", "`settlement_no`"),
    case(S, "lookback: 30d", "shard: batch_day", 21, "shard column `batch_day` is integer", "declare it as text"),
    case(S, "lookback: 30d", "shard: order_no", 21, "shard column `order_no` is not part of the primary key", "add it to `primary_key`"),
    case(S, "lookback: 30d", "times: { zone: Asia/Shanghai }", 21, "`Asia/Shanghai` is not a fixed offset", "\"+08:00\""),
    case(S, "lookback: 30d", "times: {}", 21, "times has no `zone`", "add `zone:"),
    case(S, "lookback: 30d", "times: { zones: Z, zone: Z }", 21, "unknown field `zones` in times", "did you mean `zone`?"),
    case(S, "lookback: 30d", "guard: { explained_by: [{ event: setled, key: { order_no: order_no } }] }", 21, "unknown event `setled`", "did you mean `settled`?"),
    case(S, "lookback: 30d", "guard: { explained_by: [{ event: settled, key: { ordr_no: order_no } }] }", 21, "unknown column `ordr_no`", "did you mean `order_no`?"),
    case(S, "lookback: 30d", "guard: { explained_by: [{ event: settled, key: { order_no: ordr_no } }] }", 21, "`settled` has no column `ordr_no`", "did you mean `order_no`?"),
    case(S, "lookback: 30d", "guard: { explained_by: [{ event: settled }] }", 21, "the event has no `key`", "column of the row, column of the event"),
    case(S, "lookback: 30d", "guard: { explained_by: [{ key: { order_no: order_no } }] }", 21, "a `key` without an `event`", "add `event:"),
    case(S, "lookback: 30d", "guard: { explained_by: [{ operations: [updat] }] }", 21, "`updat` is no operation", "did you mean `update`?"),
    case(S, "lookback: 30d", "guard: { explained_by: [{ columns: [statu] }] }", 21, "unknown column `statu`", "did you mean `status`?"),
    case(S, "lookback: 30d", "guard: { explained_by: {} }", 21, "explained_by is not a list", "write a list"),
    case(S, "lookback: 30d", "guard: { windw: 5m, explained_by: [] }", 21, "unknown field `windw` in guard", "did you mean `window`?"),
    case(S, "lookback: 30d", "guard: { amount: rate, explained_by: [] }", 21, "`rate` is not money", "name a money column"),
    case(M, "changed_at: occurred_at\n", "changed_at: occurred_at\nguard: { explained_by: [] }\n", 11, "an event declares no `guard`", "remove it"),
    case(S, "lookback: 30d", "json: { time: millis }", 21, "a table declares no `json`", "remove it"),
    case(M, "changed_at:", "from: a.b\nchanged_at:", 10, "an event declares no `from`", "where messages are read"),
    case(M, "changed_at:", "shard: order_no\nchanged_at:", 10, "an event declares no `shard`", "by their id alone"),
    case(M, "changed_at:", "json: { message_id: id }\nchanged_at:", 10, "message_id of json: `id` names no part of a message", "such as `$.data.id`"),
    case(M, "changed_at:", "json: { message_id: message }\nchanged_at:", 10, "`message` names no part", "such as `$.data.id`"),
    case(M, "changed_at:", "json: { committed_at: time }\nchanged_at:", 10, "committed_at of json: `time` names no part", "`message` for the time that the message itself carries"),
    case(M, "changed_at:", "json: { columns: { order_on: $.o } }\nchanged_at:", 10, "unknown column `order_on`", "did you mean `order_no`?"),
    case(M, "changed_at:", "json: { columns: { order_no: \"$.o[0]\" } }\nchanged_at:", 10, "column `order_no` of json: `$.o[0]`", "such as `$.data.id`"),
    case(M, "changed_at:", "json: { columns: { message_id: $.id } }\nchanged_at:", 10, "`message_id` stands among the columns", "beside `columns`"),
    case(M, "changed_at:", "json: { time: milis }\nchanged_at:", 10, "`milis` is not a value of time of json", "did you mean `millis`?"),
    // The file of entities.
    case(N, "max_rows: 500", "max_rows: 0", 3, "max_rows of entity `order` cannot be `0`", "from 1 to 1000000"),
    case(N, "[trim, upper]", "[trim, uper]", 3, "`uper` is not a value of normalise", "did you mean `upper`?"),
    case(N, "key: [order_no], ", "", 3, "entity `order` has no `key`", "add `key: [order_no]`"),
    case(N, "max_rows", "maxrows", 3, "unknown field `maxrows` in entity `order`", "did you mean `max_rows`?"),
    case(N, "key: [order_no]", "key: [Order No]", 3, "`Order No` is not a name", "small letters"),
];

#[test]
fn every_kind_of_mistake_is_told_with_its_place_and_remedy() {
    let wrong: Vec<String> = CASES.iter().filter_map(Case::not_as_expected).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} cases:\n{}",
        wrong.len(),
        CASES.len(),
        wrong.join("\n")
    );
}

impl Case {
    fn not_as_expected(&self) -> Option<String> {
        let folder = Folder::right();
        folder.replace(self.file, self.old, self.new);
        let mistakes = folder.mistakes();
        let as_expected = mistakes.len() == 1
            && mistakes[0].file.ends_with(self.file)
            && mistakes[0].line == self.line
            && mistakes[0].problem.contains(self.problem)
            && mistakes[0].remedy.contains(self.remedy)
            && mistakes[0].rendered.contains("error: ")
            && mistakes[0]
                .rendered
                .contains(&format!("{}:{}:", self.file, self.line))
            && mistakes[0].rendered.contains("help: ");
        let shown: Vec<_> = mistakes
            .iter()
            .map(|mistake| mistake.rendered.as_str())
            .collect();
        (!as_expected).then(|| {
            let expected = format!("{}: `{}`, `{}`", self.line, self.problem, self.remedy);
            format!(
                "== {} → {}\nexpected {expected}\n{}\n",
                self.old,
                self.new,
                shown.join("\n")
            )
        })
    }
}

#[test]
fn a_mistake_is_shown_in_its_line_as_rustc_would() {
    let folder = Folder::right();
    folder.replace(
        "settlement.yaml",
        "changed_at: updated_at",
        "changed_at: update_at",
    );
    let rendered = folder.mistakes()[0]
        .rendered
        .replace(&format!("{}/", folder.path().display()), "");
    let expected = "\
error: unknown column `update_at`
  --> settlement.yaml:20:13
   |
20 | changed_at: update_at
   |             ^^^^^^^^^
   |
help: did you mean `updated_at`?";
    assert_eq!(rendered, expected);
}

#[test]
fn all_mistakes_of_all_files_are_told_in_order() {
    let folder = Folder::right();
    folder.replace("settlement.yaml", "lookback: 30d", "lookback: long");
    folder.replace("settlement.yaml", "  rate: decimal(9,6)", "  rate: float");
    folder.replace("settlement.yaml", "column: status", "column: sttus");
    folder.replace("entry.yaml", "through: settlement", "through: setlement");
    folder.replace("settled.yaml", "event: settled\n", "event: Settled\n");
    folder.replace("entities.yaml", "max_rows: 500", "max_rows: many");
    let told: Vec<_> = folder
        .mistakes()
        .iter()
        .map(|mistake| {
            (
                mistake.file.rsplit('/').next().unwrap().to_owned(),
                mistake.line,
            )
        })
        .collect();
    let expected = [
        ("entities.yaml", 3),
        ("entry.yaml", 7),
        ("settled.yaml", 2),
        ("settlement.yaml", 15),
        ("settlement.yaml", 19),
        ("settlement.yaml", 21),
    ];
    assert_eq!(told, expected.map(|(file, line)| (file.to_owned(), line)));
}

#[test]
fn links_in_a_circle_are_told_at_each_table_of_it() {
    let folder = Folder::right();
    folder.replace(
        "settlement.yaml",
        "  order: [order_no]",
        "  order: { through: entry, by: [order_no] }",
    );
    let mistakes = folder.mistakes();
    let told: Vec<_> = mistakes
        .iter()
        .map(|mistake| (mistake.problem.as_str(), mistake.line))
        .collect();
    let expected = [
        (
            "the link leads back to itself: entry → settlement → entry",
            7,
        ),
        (
            "the link leads back to itself: settlement → entry → settlement",
            7,
        ),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_file_that_cannot_be_read_does_not_make_its_names_unknown() {
    let folder = Folder::right();
    folder.replace("settlement.yaml", "columns:", "columns: [");
    folder.write("entities.yaml", [b'a', b'\n', 0xff, b'\n']);
    let mistakes = folder.mistakes();
    let told: Vec<_> = mistakes
        .iter()
        .map(|mistake| mistake.remedy.as_str())
        .collect();
    assert_eq!(mistakes.len(), 2, "{told:?}");
    assert_eq!((mistakes[0].line, told[0]), (2, "save it as UTF-8"));
    assert!(mistakes[1].problem.starts_with("not YAML"));
}

#[test]
fn tables_and_entities_are_declared_once() {
    let folder = Folder::right();
    folder.write(
        "again.yaml",
        std::fs::read(folder.path().join("settled.yaml")).unwrap(),
    );
    folder.write(
        "more.yaml",
        "# Too many.\ncentinel: entities/1\nentities: { x: { key: [y] } }\n",
    );
    let mistakes = folder.mistakes();
    assert_eq!(mistakes.len(), 2);
    assert!(mistakes[0].file.ends_with("more.yaml") && mistakes[0].line == 2);
    assert!(mistakes[0].remedy.contains("entities.yaml"));
    assert!(mistakes[1].file.ends_with("settled.yaml") && mistakes[1].line == 2);
    assert!(mistakes[1].problem.contains("`settled` is declared twice"));
    assert!(mistakes[1].remedy.contains("again.yaml"));
}

#[test]
fn at_most_64_sources() {
    let folder = Folder::right();
    let event = std::fs::read_to_string(folder.path().join("settled.yaml")).unwrap();
    // With the three sources of the right folder these are 64, and 65.
    for number in 0..62 {
        let name = format!("more_{number:02}");
        let text = event.replace("event: settled", &format!("event: {name}"));
        folder.write(
            &format!("{name}.yaml"),
            text.replace("business-events", &format!("topic-{number}")),
        );
        let mistakes = folder.mistakes();
        match number {
            61 => {
                assert_eq!((mistakes.len(), mistakes[0].line), (1, 4));
                assert!(mistakes[0].remedy.contains("at most 64"));
            }
            _ => assert!(mistakes.is_empty(), "{number}"),
        }
    }
}

#[test]
fn a_folder_must_hold_schema_files() {
    let told = |folder: &std::path::Path| {
        let mistakes = centinel_catalog::load(folder).unwrap_err();
        assert_eq!((mistakes.len(), mistakes[0].line), (1, 0));
        mistakes[0].clone()
    };
    let empty = Folder::empty();
    assert!(told(empty.path()).remedy.contains("end in .yaml"));
    let missing = told(&empty.path().join("nowhere"));
    assert!(missing.problem.contains("cannot be read") && missing.remedy.contains("name a folder"));
    assert!(missing.rendered.contains("nowhere"));
    let folder = Folder::right();
    std::fs::remove_file(folder.path().join("entities.yaml")).unwrap();
    for name in ["entry.yaml", "settlement.yaml"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    folder.replace("settled.yaml", "entities:\n  order: [order_no]\n", "");
    assert!(told(folder.path()).remedy.contains("add entities.yaml"));
}

#[test]
fn odd_files_are_told_too() {
    let folder = Folder::right();
    folder.write("big.yaml", vec![b'#'; (1 << 20) + 1]);
    folder.write("empty.yaml", "# nothing yet\n");
    folder.write("list.yaml", "- a\n");
    folder.write("other.yml", "");
    folder.write(".hidden.yaml", "nonsense");
    std::fs::create_dir(folder.path().join("folder.yaml")).unwrap();
    let mistakes = folder.mistakes();
    let told: Vec<_> = mistakes
        .iter()
        .map(|mistake| {
            (
                mistake.file.rsplit('/').next().unwrap(),
                mistake.problem.as_str(),
            )
        })
        .collect();
    assert_eq!(told.len(), 5, "{told:?}");
    assert_eq!(told[0], ("big.yaml", "the file is larger than 1 MiB"));
    assert_eq!(told[1], ("empty.yaml", "the file is empty"));
    assert!(told[2].0 == "folder.yaml" && told[2].1.contains("cannot be read"));
    assert_eq!(told[3], ("list.yaml", "the file is not a map"));
    assert_eq!(told[4], ("other.yml", "the file would not be read"));
}

#[test]
fn sizes_are_limited() {
    let folder = Folder::right();
    let columns: String = (0..4_100)
        .map(|number| format!("  c{number}: text\n"))
        .collect();
    folder.replace(
        "settled.yaml",
        "  occurred_at: timestamp\n",
        &format!("  occurred_at: timestamp\n{columns}"),
    );
    let mistakes = folder.mistakes();
    assert!(
        mistakes[0].problem.contains("4102 columns") && mistakes[0].remedy.contains("at most 4096")
    );
    let crowded = Folder::empty();
    for number in 0..1_001 {
        crowded.write(&format!("{number}.yaml"), "");
    }
    let mistakes = crowded.mistakes();
    assert_eq!(mistakes.len(), 1);
    assert!(
        mistakes[0].problem.contains("1001 schema files") && mistakes[0].remedy.contains("1000")
    );
    let wrong = Folder::right();
    let fields: String = (0..2_000).map(|number| format!("x{number}: 1\n")).collect();
    wrong.replace("settled.yaml", "columns:", &format!("{fields}columns:"));
    let mistakes = wrong.mistakes();
    assert_eq!(mistakes.len(), 1_001);
    assert!(mistakes[1_000].problem.contains("1000 more mistakes"));
}

#[test]
fn a_file_cut_short_anywhere_is_told_in_that_file() {
    for name in [
        "entities.yaml",
        "entry.yaml",
        "settled.yaml",
        "settlement.yaml",
    ] {
        let folder = Folder::right();
        let whole = std::fs::read(folder.path().join(name)).unwrap();
        for length in 0..whole.len() / 2 {
            folder.write(name, &whole[..length]);
            let mistakes = folder.mistakes();
            assert!(
                mistakes.iter().any(|mistake| mistake.file.ends_with(name)),
                "{name}: {length}"
            );
        }
    }
}

#[test]
fn odd_text_is_shown_without_harm() {
    let long = "长".repeat(5_000);
    for text in [
        "\t",
        "\u{1b}[31mred",
        "结算",
        "é: ü",
        "\u{feff}",
        "\r\n",
        "\u{202e}x",
        "🔑🔑🔑",
        &long,
    ] {
        // As it is, quoted, broken off, and before a mistake at the far end of the line.
        let forms = ["{}", "'{}'", "[{}", "[{}, *x]"].map(|form| form.replace("{}", text));
        for form in forms {
            let folder = Folder::right();
            folder.replace(
                "settlement.yaml",
                "lookback: 30d",
                &format!("lookback: {form}"),
            );
            let mistakes = folder.mistakes();
            assert!(!mistakes.is_empty(), "{form}");
            for mistake in mistakes {
                let told = [mistake.problem, mistake.remedy, mistake.rendered].join("\n");
                assert!(
                    !told.contains('\u{1b}') && !told.contains('\u{202e}'),
                    "{told}"
                );
                assert!(told.len() < 3_000, "{told}");
            }
        }
    }
}
