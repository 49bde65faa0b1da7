//! A backlog on its way down: what was read, what is left, how far behind that is, and when it will be done.

use std::collections::BTreeMap;

use centinel_engine::detect::{Backlog, Standing, Unit};
use centinel_model::{Duration, Timestamp};

/// How often it is said.
const EVERY: Duration = Duration::seconds(10);
/// What takes less than this is not worth saying.
const WORTH_SAYING: Duration = Duration::seconds(10);
/// An input that cannot tell what is left is behind when its newest change is older than this.
const BEHIND: Duration = Duration::seconds(60);

/// Watches how inputs catch up. The wall clock is an argument.
#[derive(Debug, Default)]
pub struct CatchUp {
    looked: Option<(Timestamp, BTreeMap<String, Standing>)>,
    /// Whether the last thing said was that something is left.
    behind: bool,
}

impl CatchUp {
    /// What is to be said now, at most one line every ten seconds.
    pub fn look(&mut self, now: Timestamp, inputs: BTreeMap<String, Standing>) -> Option<String> {
        let Some((then, before)) = &self.looked else {
            self.looked = Some((now, inputs));
            return None;
        };
        let passed = now.since(*then);
        if passed < EVERY {
            return None;
        }
        let told = inputs.iter().filter_map(|(name, standing)| {
            let before = before.get(name)?;
            let text = match (standing.backlog, before.backlog) {
                (Some(backlog), Some(before)) => counted(backlog, before, passed),
                _ => by_time(standing.newest, before.newest, now, passed),
            };
            Some(format!("{name}: {}", text?))
        });
        let told: Vec<String> = told.collect();
        self.looked = Some((now, inputs));
        let was_behind = std::mem::replace(&mut self.behind, !told.is_empty());
        match told.is_empty() {
            false => Some(format!("catching up: {}", told.join("; "))),
            true => was_behind.then(|| "caught up".to_owned()),
        }
    }
}

/// Of an input that counts what is left.
fn counted(backlog: Backlog, before: Backlog, passed: Duration) -> Option<String> {
    let read = backlog.read.saturating_sub(before.read);
    let rate = read as f64 / seconds(passed);
    let left = backlog.left as f64 / rate;
    if backlog.left == 0 || left < seconds(WORTH_SAYING) {
        return None;
    }
    let until = match left.is_finite() {
        true => format!("about {} left", span(left)),
        false => "it does not move".to_owned(),
    };
    Some(format!(
        "{} read, {} to read, {} a second, {until}",
        amount(backlog.read as f64, backlog.unit),
        amount(backlog.left as f64, backlog.unit),
        amount(rate, backlog.unit),
    ))
}

/// Of an input that only knows of when its changes are.
fn by_time(
    newest: Timestamp,
    before: Timestamp,
    now: Timestamp,
    passed: Duration,
) -> Option<String> {
    let behind = now.since(newest);
    if newest == Timestamp::MIN || before == Timestamp::MIN || behind < BEHIND {
        return None;
    }
    // Nothing came: nothing may be there to come, as in a database at rest.
    if newest == before {
        return None;
    }
    let gained = seconds(newest.since(before)) / seconds(passed) - 1.0;
    let until = match gained > 0.0 {
        true => format!("about {} left", span(seconds(behind) / gained)),
        false => "and does not gain on it".to_owned(),
    };
    Some(format!("{} behind, {until}", span(seconds(behind))))
}

fn seconds(span: Duration) -> f64 {
    span.0 as f64 / 1e6
}

fn span(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3_600.0),
    }
}

fn amount(count: f64, unit: Unit) -> String {
    let (divisor, suffix) = match count {
        c if c >= 1e9 => (1e9, "G"),
        c if c >= 1e6 => (1e6, "M"),
        c if c >= 1e4 => (1e3, "k"),
        _ => (1.0, ""),
    };
    let digits = usize::from(divisor > 1.0);
    let unit = match unit {
        Unit::Records => "records",
        Unit::Bytes => "bytes",
    };
    match suffix {
        "" => format!("{:.digits$} {unit}", count / divisor),
        suffix => format!("{:.digits$} {suffix} {unit}", count / divisor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(read: u64, left: u64) -> BTreeMap<String, Standing> {
        let backlog = Some(Backlog {
            read,
            left,
            unit: Unit::Records,
        });
        let newest = Timestamp(0);
        BTreeMap::from([("payment-db".to_owned(), Standing { backlog, newest })])
    }

    fn dated(newest: i64) -> BTreeMap<String, Standing> {
        let newest = Timestamp(newest * 1_000_000);
        let backlog = None;
        BTreeMap::from([("payment-db".to_owned(), Standing { backlog, newest })])
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    #[test]
    fn what_is_counted_is_told_until_it_is_read() {
        let mut catch_up = CatchUp::default();
        assert_eq!(catch_up.look(at(0), records(0, 9_000_000)), None);
        assert_eq!(catch_up.look(at(5), records(200_000, 8_800_000)), None);
        assert_eq!(
            catch_up
                .look(at(10), records(450_000, 8_550_000))
                .as_deref(),
            Some(
                "catching up: payment-db: 450.0 k records read, 8.6 M records to read, 45.0 k records a second, \
                 about 3 min left"
            )
        );
        assert_eq!(
            catch_up.look(at(30), records(9_000_000, 10)).as_deref(),
            Some("caught up")
        );
        assert_eq!(catch_up.look(at(40), records(9_000_010, 0)), None);
    }

    #[test]
    fn what_stands_still_is_told_too() {
        let mut catch_up = CatchUp::default();
        catch_up.look(at(0), records(5, 100));
        let told = catch_up.look(at(10), records(5, 100)).unwrap_or_default();
        assert!(told.ends_with("it does not move"), "{told}");
    }

    #[test]
    fn where_nothing_is_counted_the_age_of_the_changes_tells() {
        let mut catch_up = CatchUp::default();
        assert_eq!(catch_up.look(at(10_000), dated(0)), None);
        assert_eq!(
            catch_up.look(at(10_010), dated(1_000)).as_deref(),
            Some("catching up: payment-db: 2.5 h behind, about 91 s left")
        );
        assert_eq!(
            catch_up.look(at(10_020), dated(1_005)).as_deref(),
            Some("catching up: payment-db: 2.5 h behind, and does not gain on it")
        );
        // A database at rest has nothing newer.
        assert_eq!(
            catch_up.look(at(10_030), dated(1_005)).as_deref(),
            Some("caught up")
        );
        assert_eq!(catch_up.look(at(10_040), dated(1_005)), None);
    }
}
