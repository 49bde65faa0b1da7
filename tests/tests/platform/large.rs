//! One transaction of a million rows.

use centinel_model::Verdict;
use centinel_tests::platform::{Platform, Watching, wall_clock};
use data_fixtures::write::sql::HEARTBEAT_TABLE;

use crate::judged_by;

const ROWS: u64 = 1_000_000;
const BAD: [u64; 3] = [1, 500_000, 1_000_000];
const RULE: &str = "payment-amount-is-positive";

#[test]
fn a_transaction_of_a_million_rows_is_judged_whole_and_once() {
    let platform = Platform::start();
    let (catalog, rules) = judged_by(platform.schemas());
    let rules: Vec<_> = rules.into_iter().filter(|rule| rule.id == RULE).collect();
    assert_eq!(rules.len(), 1);
    let folder = tempfile::tempdir().unwrap();
    let inputs = platform.addresses().inputs().into_iter().take(1).collect();
    let later = wall_clock().0 / 1_000_000 + 3_600;
    let watching = Watching {
        inputs,
        folder: folder.path().to_owned(),
        catalog: &catalog,
        rules: &rules,
        until: (later - 1) * 1_000_000,
    };
    let platform = &platform;
    let detected = watching
        .run(&|_| {}, |_| {
            let bad = BAD.map(|number| number.to_string()).join(", ");
            platform.mariadb.execute(&format!(
                "USE payment_db; INSERT INTO payment SELECT CONCAT('P', seq), CONCAT('E', seq), 'M1', 'B', 'WX',
                 IF(seq IN ({bad}), -1, 10), 'PAID', 'someone', NULL, NOW(6), NOW(6) FROM seq_1_to_{ROWS}"
            ));
            platform.mariadb.execute(&format!(
                "SET TIMESTAMP={later}; REPLACE INTO payment_db.{HEARTBEAT_TABLE} VALUES (1, NOW(6))"
            ));
        })
        .unwrap();
    assert_eq!(detected.holes, 0);
    let mut keys: Vec<String> = detected
        .told(Verdict::Confirmed)
        .into_iter()
        .map(|finding| finding.entity_key)
        .collect();
    keys.sort();
    let mut expected = BAD.map(|number| format!("E{number}"));
    expected.sort();
    assert_eq!(keys, expected);
    assert_eq!(detected.open.len(), BAD.len());
}
