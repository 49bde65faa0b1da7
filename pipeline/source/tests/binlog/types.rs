//! Values of every type, by the snapshot and by the log.

use centinel_model::Operation;
use test_servers::MariaDb;

use crate::support::{Running, catalog, options};

const EVERY: &str = "\
centinel: schema/1
table: every
system: payment
source: payment-db
primary_key: [id]
times: { zone: \"+08:00\" }
columns:
  id: integer
  tiny: integer
  tiny_u: integer
  small_u: integer
  medium: integer
  medium_u: integer
  whole: integer
  whole_u: integer
  big: integer
  big_u: decimal(20,0)
  born: integer
  flags: integer
  truth: boolean
  bit1: boolean
  money: decimal(38,10)
  money_0: integer
  day: date
  local: timestamp
  local_0: timestamp
  stamp: timestamp
  stamp_3: timestamp
  span: text
  span_6: text
  channel: text
  tags: text
  fixed: text
  name: text
  name_latin: text
  name_gbk: text
  name_ascii: text
  note: text
  long_note: text
  token: text
  token_fixed: text
  blob: text
  ratio: text
  ratio_4: text
  extra: json
  amount_text: decimal(18,2)
  nothing: { type: text, nullable: true }
";

const CREATE_EVERY: &str = "\
CREATE DATABASE every; USE every;
CREATE TABLE every (
  born YEAR NOT NULL,
  id BIGINT PRIMARY KEY, tiny TINYINT NOT NULL, tiny_u TINYINT UNSIGNED NOT NULL, small_u SMALLINT UNSIGNED NOT NULL,
  medium MEDIUMINT NOT NULL, medium_u MEDIUMINT UNSIGNED NOT NULL, whole INT NOT NULL,
  whole_u INT UNSIGNED NOT NULL, big BIGINT NOT NULL, big_u BIGINT UNSIGNED NOT NULL,
  flags BIT(12) NOT NULL, truth BOOLEAN NOT NULL, bit1 BIT(1) NOT NULL,
  money DECIMAL(38,10) NOT NULL, money_0 DECIMAL(12,0) NOT NULL,
  day DATE NOT NULL, local DATETIME(6) NOT NULL, local_0 DATETIME NOT NULL, stamp TIMESTAMP(6) NOT NULL,
  stamp_3 TIMESTAMP(3) NOT NULL, span TIME NOT NULL, span_6 TIME(6) NOT NULL,
  channel ENUM('WX','支付宝','CARD') NOT NULL, tags SET('a','b','c','d') NOT NULL,
  fixed CHAR(10) NOT NULL, name VARCHAR(300) NOT NULL, name_latin VARCHAR(40) CHARACTER SET latin1 NOT NULL,
  name_gbk VARCHAR(40) CHARACTER SET gbk NOT NULL, name_ascii CHAR(20) CHARACTER SET ascii NOT NULL,
  note TEXT NOT NULL, long_note LONGTEXT COLLATE utf8mb4_uca1400_ai_ci NOT NULL,
  token VARBINARY(20) NOT NULL, token_fixed BINARY(4) NOT NULL, blob_ MEDIUMBLOB NOT NULL,
  ratio DOUBLE NOT NULL, ratio_4 FLOAT NOT NULL, extra JSON NOT NULL, amount_text VARCHAR(20) NOT NULL,
  nothing VARCHAR(5) NULL, not_in_the_schema GEOMETRY NULL, nor_this INT COMPRESSED NULL
);";

fn insert(id: u8, low: bool) -> String {
    let numbers = match low {
        true => {
            "-128, 0, 0, -8388608, 0, -2147483648, 0, -9223372036854775808, 0, b'000000000000', 0, b'0', \
             -1234567890123456789012345678.0123456789, -999999999999"
        }
        false => {
            "127, 255, 65535, 8388607, 16777215, 2147483647, 4294967295, 9223372036854775807, \
             18446744073709551615, b'100000000001', 1, b'1', 0.0000000001, 999999999999"
        }
    };
    let times = match low {
        true => {
            "'1970-01-02', '1970-01-01 08:00:00.000001', '1970-01-01 09:00:00', '1970-01-01 00:00:01.000000', \
             '1970-01-01 00:00:01.5', '-838:59:59', '-00:00:00.000001'"
        }
        false => {
            "'9999-12-31', '2026-11-22 16:00:00.123456', '2026-11-22 16:00:00', '2026-11-22 08:00:00.123456', \
             '2026-11-22 08:00:00.123', '838:59:59', '12:34:56.789'"
        }
    };
    let texts = match low {
        true => "'WX', '', '', '', '', '', '', '', '', '', x'00', '', 0, 0, '{}', '0', NULL",
        false => {
            "'支付宝', 'a,c,d', 'fixed  ', '付款 💰', 'café €', '付款', 'ascii', 'note', 'long', x'00ff10', \
             x'ca000000', x'deadbeef', 0.1, 1.5, '{\"a\": [1, 2.50]}', '12.50', 'x'"
        }
    };
    let year = if low { "1901" } else { "2155" };
    format!(
        "INSERT INTO every.every VALUES ({year}, {id}, {numbers}, {times}, {texts}, NULL, NULL)"
    )
}

fn expected(id: u8, low: bool) -> Vec<Option<String>> {
    let eight = 8 * 3_600_000_000_i64;
    let text = match low {
        true => format!(
            "{id}|-128|0|0|-8388608|0|-2147483648|0|-9223372036854775808|0|1901|0|false|false|\
             -1234567890123456789012345678.0123456789|-999999999999|1970-01-02|1|{}|1000000|1500000|\
             -838:59:59|-00:00:00.000001|WX||||||||||00000000||0|0|{{}}|0.00",
            3_600_000_000_i64
        ),
        false => {
            let time = 1_795_334_400_000_000_i64;
            assert_eq!((time + eight) % 3_600_000_000, 0);
            format!(
                "{id}|127|255|65535|8388607|16777215|2147483647|4294967295|9223372036854775807|\
                 18446744073709551615|2155|2049|true|true|0.0000000001|999999999999|9999-12-31|{}|{time}|{}|{}|\
                 838:59:59|12:34:56.789000|支付宝|a,c,d|fixed|付款 💰|café €|付款|ascii|note|long|00ff10|ca000000|\
                 deadbeef|0.1|1.5|{{\"a\": [1, 2.50]}}|12.50|x",
                time + 123_456,
                time + 123_456,
                time + 123_000,
            )
        }
    };
    let mut cells: Vec<Option<String>> =
        text.split('|').map(|cell| Some(cell.to_owned())).collect();
    if low {
        // BINARY(4) is filled with zero bytes.
        cells.push(None);
    }
    cells
}

#[test]
fn every_type_is_read_alike_by_snapshot_and_log() {
    let server = MariaDb::start(&["--sql-mode="]);
    server.execute(
        &CREATE_EVERY
            .replace("blob_ ", "`blob` ")
            .replace("INT COMPRESSED", "TEXT COMPRESSED"),
    );
    server.execute(&format!(
        "SET NAMES utf8mb4; SET time_zone = '+00:00'; {}; {}",
        insert(1, true),
        insert(2, false)
    ));
    let catalog = catalog(&[EVERY]);
    let mut running = Running::open(&catalog, options(&server, server.port()));
    running.catch_up();
    server.execute(&format!(
        "SET NAMES utf8mb4; SET time_zone = '+00:00'; {}; {}; UPDATE every.every SET note = 'changed', nothing = NULL WHERE id = 4",
        insert(3, true),
        insert(4, false)
    ));
    running.catch_up();
    let folded = &running.folded;
    assert_eq!(
        folded.reasons(),
        [],
        "{:?}",
        folded.holes.first().map(|hole| &hole.message)
    );
    let rows = folded.current(0);
    let mut changed = expected(4, false);
    changed[30] = Some("changed".into());
    *changed.last_mut().unwrap() = None;
    let wanted = [
        expected(1, true),
        expected(2, false),
        expected(3, true),
        changed,
    ];
    for (row, wanted) in rows.iter().zip(&wanted) {
        for (index, (cell, wanted)) in row.iter().zip(wanted).enumerate() {
            assert_eq!(cell, wanted, "column {index} of row {:?}", row[0]);
        }
    }
    assert_eq!(rows.len(), 4);
    assert_eq!(
        folded.operations[2..],
        [Operation::Insert, Operation::Insert, Operation::Update]
    );
}

#[test]
fn a_float_for_money_is_never_read() {
    let schema = EVERY.split("  tiny:").next().unwrap().to_owned() + "  ratio: decimal(18,2)\n";
    let server = MariaDb::start(&[]);
    server.execute(
        "CREATE DATABASE every; CREATE TABLE every.every (id BIGINT PRIMARY KEY, ratio DOUBLE)",
    );
    let catalog = catalog(&[&schema]);
    server.execute("INSERT INTO every.every VALUES (1, 0.1)");
    let mut running = Running::open(&catalog, options(&server, server.port()));
    running.catch_up();
    assert_eq!(running.folded.snapshots, 1);
    server.execute("INSERT INTO every.every VALUES (2, 0.2)");
    running.catch_up();
    assert_eq!(
        (running.folded.changes, running.folded.reasons()),
        (2, vec![])
    );
    assert_eq!(running.folded.lacking, 2);
    assert_eq!(running.folded.current(0)[0], [Some("1".into()), None]);
    assert!(running.folded.drift.contains("make it a DECIMAL"));
}
