//! Messages as the documented form has them, written by hand.

use centinel_alert::Message;

pub const ALERT: &str = r#"{
  "schema": "centinel/alert/1", "id": "i-7", "channel": "c", "made_at": "2026-11-22T08:00:10Z", "form": "alert",
  "kind": "confirmed", "rule": "settled-equals-paid", "title": "What was settled is what was paid",
  "severity": "critical", "owner": "settlement", "tags": ["balance", "loss-1"],
  "runbook": "https://wiki.example/settled",
  "cause": {"is": {"column": "merchant_no", "value": "M1"}}, "count": 12, "changed": 1,
  "money": {"by_currency": {"CNY": "1234567.80"}, "uncounted": 0}, "since": "2026-11-22T07:58:00Z",
  "open": {"count": 34, "money": {"by_currency": {"CNY": "2000000.00"}, "uncounted": 0}},
  "among": {"release": {"values": ["r41", "r42"], "more": true}},
  "largest": [{
    "finding_id": "00112233445566778899aabbccddeeff", "sequence": 1, "rule": "settled-equals-paid",
    "entity": "order", "entity_key": "O1", "key": [["order_no", "O1"], ["payment_no", "P1"]],
    "amount": "300000.00", "currency": "CNY", "hint": "`settled` is exactly 100 times `paid`",
    "since": "2026-11-22T07:58:00Z", "rows": [{"paid": "100.00", "settled": null}], "rows_total": 3,
    "trace": "https://centinel.example/trace/order/O1"
  }],
  "findings": [{"finding_id": "00112233445566778899aabbccddeeff", "sequence": 1}]
}"#;

pub const RECOVERED: &str = r#"{
  "schema": "centinel/alert/1", "id": "i-9", "channel": "c", "made_at": "2026-11-22T08:00:10Z", "form": "alert",
  "kind": "recovered", "rule": "settled-equals-paid", "title": "What was settled is what was paid",
  "severity": "critical", "owner": "settlement", "tags": [], "runbook": "Ask the settlement team.",
  "cause": "none", "count": 2, "changed": 0,
  "money": {"by_currency": {"CNY": "30.00"}, "uncounted": 0}, "since": "2026-11-22T07:58:00Z",
  "open": {"count": 0, "money": {"by_currency": {}, "uncounted": 0}},
  "among": {}, "largest": [], "findings": []
}"#;

pub const DIGEST: &str = r#"{
  "schema": "centinel/alert/1", "id": "i-8", "channel": "c", "made_at": "2026-11-22T08:00:10Z", "form": "digest",
  "lines": [
    {"kind": "confirmed", "rule": "settled-equals-paid", "title": "t", "severity": "critical", "owner": "settlement",
     "tags": [], "runbook": "", "count": 900, "changed": 3, "causes": 40, "since": "2026-11-22T07:58:00Z",
     "money": {"by_currency": {"CNY": "77.00", "JPY": "5000"}, "uncounted": 0}},
    {"kind": "recovered", "rule": "paid-once", "title": "t", "severity": "warn", "owner": "payment",
     "tags": [], "runbook": "", "count": 1, "changed": 0, "causes": 1, "since": "2026-11-22T07:59:00Z",
     "money": {"by_currency": {}, "uncounted": 0}}
  ],
  "largest": []
}"#;

pub fn message(json: &str) -> Message {
    serde_json::from_str(json).unwrap()
}

/// What data may hold that means something to somebody.
pub const NASTY: &str = "<!channel> @all <at id=all></at> [x](https://evil.example) **b** `c` <b>&amp; | ``` \\ # h _i_";

/// The alert with this text wherever data can stand.
pub fn nasty() -> Message {
    let mut value: serde_json::Value = serde_json::from_str(ALERT).unwrap();
    for field in ["title", "rule", "owner"] {
        value[field] = NASTY.into();
    }
    value["runbook"] = NASTY.into();
    value["cause"]["is"]["value"] = NASTY.into();
    value["among"]["release"]["values"][0] = NASTY.into();
    value["largest"][0]["entity_key"] = NASTY.into();
    value["largest"][0]["hint"] = NASTY.into();
    value["largest"][0]["key"][1][1] = NASTY.into();
    value["largest"][0]["rows"][0]["paid"] = NASTY.into();
    serde_json::from_value(value).unwrap()
}

/// The alert as long as it can be.
pub fn long() -> Message {
    let mut value: serde_json::Value = serde_json::from_str(ALERT).unwrap();
    let long = |length: usize| serde_json::Value::from("订\"".repeat(length / 2));
    value["title"] = long(500);
    value["runbook"] = long(2_000);
    value["largest"][0]["hint"] = long(500);
    let columns = (0..20).map(|number| (format!("column_{number}"), long(200)));
    let row: serde_json::Map<String, serde_json::Value> = columns.collect();
    value["largest"][0]["rows"] = vec![serde_json::Value::Object(row); 3].into();
    serde_json::from_value(value).unwrap()
}
