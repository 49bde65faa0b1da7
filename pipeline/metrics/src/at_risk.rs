//! The money of all findings that are confirmed and open, exactly, by currency and never across.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::BufRead;
use std::sync::Arc;

use centinel_model::{Amount, FINDING_SCHEMA, Severity, Verdict, is_self_check};
use serde::Deserialize;

/// Findings that are remembered; of more it is said that they are missing.
const MOST_OPEN: usize = 1_000_000;
/// A currency can be a column of the data: so many are told apart, and no sum goes across them.
const MOST_CURRENCIES: usize = 32;
/// Letters of a currency's code.
const LONGEST_CODE: usize = 12;
/// Longer lines are passed over: detection writes none.
const LONGEST_LINE: u64 = 16 << 20;

/// A finding that was told, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(crate) struct Finding<'a> {
    #[serde(borrow)]
    finding_id: Cow<'a, str>,
    sequence: u64,
    #[serde(borrow)]
    pub rule: Cow<'a, str>,
    pub verdict: Verdict,
    pub severity: Severity,
    #[serde(borrow)]
    amount: Option<Cow<'a, str>>,
    #[serde(borrow)]
    currency: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    schema: Cow<'a, str>,
}

/// Reads a message; nothing where it is no finding, or one of the self-check, which is no business.
pub(crate) fn read(line: &[u8]) -> Option<Finding<'_>> {
    let head: Head<'_> = serde_json::from_slice(line).ok()?;
    if head.schema != FINDING_SCHEMA {
        return None;
    }
    let finding: Finding<'_> = serde_json::from_slice(line).ok()?;
    (!is_self_check(&finding.rule)).then_some(finding)
}

#[derive(Debug)]
struct Held {
    sequence: u64,
    /// In one of the sums.
    amount: Option<(Amount, Arc<str>)>,
    /// It names money that is in no sum.
    unclear: bool,
}

/// Findings that are confirmed now, and what they put at risk.
#[derive(Debug, Default)]
pub(crate) struct AtRisk {
    confirmed: HashMap<u128, Held>,
    sums: BTreeMap<Arc<str>, Amount>,
    unclear: u64,
    /// Findings that ended while the past was read: the past must not bring them back.
    ended: Option<HashMap<u128, u64>>,
}

impl AtRisk {
    /// From now on what was told before may be taken in beside what is told now, until [`AtRisk::past_is_read`].
    pub fn read_past(&mut self) {
        self.ended = Some(HashMap::new());
    }

    /// All of it was taken in.
    pub fn past_is_read(&mut self) {
        self.ended = None;
    }

    /// Takes in what was told of a finding; what is older than what is known changes nothing.
    pub fn take(&mut self, finding: &Finding<'_>) {
        let Ok(id) = u128::from_str_radix(&finding.finding_id, 16) else {
            return;
        };
        let sequence = finding.sequence;
        let known = self.confirmed.get(&id).map(|held| held.sequence);
        let ended = self
            .ended
            .as_ref()
            .and_then(|ended| ended.get(&id).copied());
        if known.max(ended).is_some_and(|known| known >= sequence) {
            return;
        }
        self.forget(id);
        if finding.verdict != Verdict::Confirmed {
            if let Some(ended) = &mut self.ended
                && ended.len() < MOST_OPEN
            {
                ended.insert(id, sequence);
            }
            return;
        }
        if self.confirmed.len() >= MOST_OPEN {
            return;
        }
        let (amount, unclear) = match (&finding.amount, &finding.currency) {
            (None, _) => (None, false),
            (Some(amount), Some(currency)) => {
                let added = self.add(amount, currency);
                let unclear = added.is_none();
                (added, unclear)
            }
            (Some(_), None) => (None, true),
        };
        self.unclear += u64::from(unclear);
        let held = Held {
            sequence,
            amount,
            unclear,
        };
        self.confirmed.insert(id, held);
    }

    fn add(&mut self, amount: &str, currency: &str) -> Option<(Amount, Arc<str>)> {
        let amount = Amount::exact(amount).ok().filter(|it| it.units >= 0)?;
        let known = self.sums.get_key_value(currency);
        let (currency, sum) = match known {
            Some((currency, sum)) => (Arc::clone(currency), *sum),
            None => {
                let code = currency.len() <= LONGEST_CODE
                    && currency.bytes().all(|byte| byte.is_ascii_alphanumeric());
                if !code || self.sums.len() >= MOST_CURRENCIES {
                    return None;
                }
                (currency.into(), Amount::default())
            }
        };
        let sum = sum.checked_add(amount)?;
        self.sums.insert(Arc::clone(&currency), sum.normalised());
        Some((amount, currency))
    }

    fn forget(&mut self, id: u128) {
        let Some(held) = self.confirmed.remove(&id) else {
            return;
        };
        self.unclear -= u64::from(held.unclear);
        let Some((amount, currency)) = held.amount else {
            return;
        };
        if let Some(sum) = self.sums.get_mut(&currency) {
            let less = Amount {
                units: -amount.units,
                ..amount
            };
            // It went in, so it comes out: the sum is smaller than it was then.
            *sum = sum.checked_add(less).unwrap_or_default().normalised();
        }
    }

    /// The sums, exactly. A currency that had money once stays, with 0.
    pub fn sums(&self) -> &BTreeMap<Arc<str>, Amount> {
        &self.sums
    }

    /// Of so many confirmed findings in state, how many have money that is in no sum, or are not known here.
    pub fn missing(&self, confirmed: u64) -> u64 {
        self.unclear + confirmed.saturating_sub(self.confirmed.len() as u64)
    }
}

/// The messages of a file, one after the other. A last line without an end is being written.
pub(crate) fn each_line(
    mut from: impl BufRead,
    mut each: impl FnMut(&[u8]),
) -> std::io::Result<()> {
    use std::io::Read;
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = (&mut from).take(LONGEST_LINE);
        if limited.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.last() == Some(&b'\n') {
            each(&line);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn line(id: u32, sequence: u64, verdict: &str, amount: &str, currency: &str) -> String {
        format!(
            r#"{{"schema":"centinel/finding/1","finding_id":"{id:032x}","sequence":{sequence},"rule":"r\"","title":"t",
            "verdict":"{verdict}","severity":"error","amount":"{amount}","currency":"{currency}","evidence":{{"rows":[]}}}}"#
        )
        .replace('\n', "")
    }

    fn take(at_risk: &mut AtRisk, line: &str) {
        at_risk.take(&read(line.as_bytes()).unwrap());
    }

    fn sums(at_risk: &AtRisk) -> Vec<(String, String)> {
        let sums = at_risk.sums().iter();
        sums.map(|(currency, sum)| (currency.to_string(), sum.to_string()))
            .collect()
    }

    #[test]
    fn money_comes_and_goes_exactly_and_never_across() {
        let mut at_risk = AtRisk::default();
        take(&mut at_risk, &line(1, 1, "confirmed", "0.10", "CNY"));
        take(&mut at_risk, &line(2, 1, "confirmed", "0.2", "CNY"));
        take(&mut at_risk, &line(3, 1, "confirmed", "5.5", "USD"));
        take(&mut at_risk, &line(4, 1, "undetermined", "99", "USD"));
        let all = [("CNY", "0.3"), ("USD", "5.5")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(sums(&at_risk), all);
        // Told again, with what it is now.
        take(&mut at_risk, &line(1, 2, "confirmed", "7", "CNY"));
        take(&mut at_risk, &line(1, 1, "confirmed", "0.10", "CNY"));
        take(&mut at_risk, &line(3, 2, "recovered", "5.5", "USD"));
        let all = [("CNY", "7.2"), ("USD", "0")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(sums(&at_risk), all);
        assert_eq!(at_risk.missing(2), 0);
        assert_eq!(at_risk.missing(5), 3);
    }

    #[test]
    fn what_ended_meanwhile_is_not_brought_back_by_the_past() {
        let mut at_risk = AtRisk::default();
        at_risk.read_past();
        take(&mut at_risk, &line(1, 3, "recovered", "1", "CNY"));
        take(&mut at_risk, &line(2, 2, "confirmed", "4", "CNY"));
        for (id, sequence) in [(1, 1), (2, 1), (3, 1), (1, 2)] {
            take(&mut at_risk, &line(id, sequence, "confirmed", "10", "CNY"));
        }
        at_risk.past_is_read();
        assert_eq!(sums(&at_risk), [("CNY".to_owned(), "14".to_owned())]);
    }

    #[test]
    fn what_cannot_be_added_up_is_missing() {
        let mut at_risk = AtRisk::default();
        take(&mut at_risk, &line(1, 1, "confirmed", "1e3", "CNY"));
        take(&mut at_risk, &line(2, 1, "confirmed", "1", "CNY\\n# x"));
        let largest = "9".repeat(38);
        take(&mut at_risk, &line(3, 1, "confirmed", &largest, "CNY"));
        take(&mut at_risk, &line(4, 1, "confirmed", &largest, "CNY"));
        assert_eq!(at_risk.missing(4), 3, "{at_risk:?}");
        take(&mut at_risk, &line(4, 2, "recovered", &largest, "CNY"));
        assert_eq!(at_risk.missing(3), 2);
        for number in 0..100 {
            let currency = format!("X{number}");
            take(
                &mut at_risk,
                &line(100 + number, 1, "confirmed", "1", &currency),
            );
        }
        assert_eq!(at_risk.sums().len(), MOST_CURRENCIES);
    }

    #[test]
    fn other_messages_and_half_lines_are_passed_over() {
        assert!(read(br#"{"schema":"centinel/hole/1","number":1}"#).is_none());
        assert!(read(b"no json").is_none());
        let source =
            br#"{"schema":"centinel/source/1","source":"a","state":"behind","undetermined":0}"#;
        assert!(matches!(read(source), Some(Told::Source(name, true)) if name == "a"));
        let mut lines = 0;
        each_line(&b"one\ntwo\nthr"[..], |_| lines += 1).unwrap();
        assert_eq!(lines, 2);
    }
}
