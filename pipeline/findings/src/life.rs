//! The life of a finding: what it is after detection told something, and after a person did something. Pure.
//!
//! Detection says whether a rule is broken, people say what they make of it, and neither overrules the other:
//! - it is *open* while detection takes it for broken or cannot judge it, and nobody resolved it or called it a false alarm;
//! - one that breaks again after it had passed is open again, whatever was said of it before;
//! - one that gets larger, or that is confirmed now and was not, is *worse* than what a person judged: an acknowledged
//!   one says so, a resolved one and a false alarm are open again.

use centinel_model::{Amount, Verdict};
use serde::{Deserialize, Serialize};

use crate::money::sortable;

/// What people made of a finding.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Handling {
    /// Nobody looked at it yet, or not since it broke again.
    #[default]
    New,
    /// Somebody knows of it.
    Acknowledged,
    /// Somebody did what there was to do.
    Resolved,
    /// Somebody says that nothing is wrong.
    FalseAlarm,
}

impl Handling {
    /// All of them.
    pub const ALL: [Handling; 4] = [
        Handling::New,
        Handling::Acknowledged,
        Handling::Resolved,
        Handling::FalseAlarm,
    ];

    /// The word in the store, in exports and in options.
    pub fn as_str(self) -> &'static str {
        match self {
            Handling::New => "new",
            Handling::Acknowledged => "acknowledged",
            Handling::Resolved => "resolved",
            Handling::FalseAlarm => "false_alarm",
        }
    }

    /// The one with this word.
    pub fn parse(word: &str) -> Option<Handling> {
        Handling::ALL
            .into_iter()
            .find(|handling| handling.as_str() == word)
    }
}

/// All verdicts, in the order of their life.
pub const VERDICTS: [Verdict; 6] = [
    Verdict::Suspected,
    Verdict::Confirmed,
    Verdict::Undetermined,
    Verdict::Cleared,
    Verdict::Recovered,
    Verdict::RuleChanged,
];

/// A verdict's word in findings.
pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Suspected => "suspected",
        Verdict::Confirmed => "confirmed",
        Verdict::Cleared => "cleared",
        Verdict::Recovered => "recovered",
        Verdict::Undetermined => "undetermined",
        Verdict::RuleChanged => "rule_changed",
    }
}

/// The verdict with this word.
pub fn verdict_of(word: &str) -> Option<Verdict> {
    VERDICTS
        .into_iter()
        .find(|verdict| verdict_word(*verdict) == word)
}

/// Whether detection takes it for broken, or cannot say that it is not.
pub fn is_broken(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Suspected | Verdict::Confirmed | Verdict::Undetermined
    )
}

/// Whether somebody should look at it.
pub fn is_open(verdict: Verdict, handling: Handling) -> bool {
    is_broken(verdict) && !matches!(handling, Handling::Resolved | Handling::FalseAlarm)
}

/// What a person judged: who, when, and the finding as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handled {
    /// Who did it.
    pub by: String,
    /// When, RFC 3339, by the clock of the one who did it.
    pub at: String,
    /// Why, as they said.
    pub reason: Option<String>,
    /// What detection had said.
    pub verdict: Verdict,
    /// Money at risk then, in major units.
    pub amount: Option<String>,
    /// Its currency.
    pub currency: Option<String>,
}

/// What is known of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What detection said last.
    pub verdict: Verdict,
    /// How often it broke.
    pub occurrence: u32,
    /// Money at risk, in major units.
    pub amount: Option<Amount>,
    /// Its currency.
    pub currency: Option<String>,
    /// The anchor of what began this occurrence, in microseconds.
    pub since: i64,
    /// What people made of it.
    pub handling: Handling,
    /// Who did, and what it was like then; none where it is new.
    pub handled: Option<Handled>,
    /// Whether it is worse than when it was acknowledged.
    pub worse: bool,
    /// Whom somebody gave it to; none where it is its rule's owner's.
    pub assigned: Option<String>,
}

/// What detection says of a finding now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The verdict.
    pub verdict: Verdict,
    /// How often it broke.
    pub occurrence: u32,
    /// Money at risk, in major units.
    pub amount: Option<Amount>,
    /// Its currency.
    pub currency: Option<String>,
    /// The time from which patience counts, in microseconds.
    pub anchor: i64,
}

/// What follows for people from what detection told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Follows {
    /// It is open again, for this reason.
    Reopened(String),
    /// It is worse than when it was acknowledged, in this way.
    Worse(String),
}

impl Standing {
    /// A finding that is told for the first time.
    pub fn new(told: &Told) -> Standing {
        Standing {
            verdict: told.verdict,
            occurrence: told.occurrence,
            amount: told.amount,
            currency: told.currency.clone(),
            since: told.anchor,
            handling: Handling::New,
            handled: None,
            worse: false,
            assigned: None,
        }
    }

    /// Detection told something newer.
    pub fn take_in(&mut self, told: &Told) -> Option<Follows> {
        let opens = is_broken(told.verdict)
            && (!is_broken(self.verdict) || told.occurrence > self.occurrence);
        let before = (self.amount, self.worse);
        if opens {
            self.since = told.anchor;
        }
        self.verdict = told.verdict;
        self.occurrence = told.occurrence;
        // Where a rule is not broken or could not be asked, detection repeats the amount, and not always its currency.
        let repeated = told.currency.is_none() && told.amount == self.amount;
        if !repeated {
            self.currency.clone_from(&told.currency);
        }
        self.amount = told.amount;
        if !is_broken(told.verdict) {
            self.worse = false;
            return None;
        }
        let handled = self.handled.as_ref()?;
        if opens {
            let why = format!(
                "it broke again, after it was {} by {}",
                said(self.handling),
                handled.by
            );
            self.reopen();
            return Some(Follows::Reopened(why));
        }
        let Some(why) = self.worse_than(handled) else {
            self.worse = false;
            return None;
        };
        if self.handling != Handling::Acknowledged {
            let why = format!(
                "{why}, after it was {} by {}",
                said(self.handling),
                handled.by
            );
            self.reopen();
            return Some(Follows::Reopened(why));
        }
        self.worse = true;
        // Said once, and again whenever it has grown further.
        let grew = told.amount.is_some() && sortable(told.amount) > sortable(before.0);
        (!before.1 || grew).then_some(Follows::Worse(why))
    }

    /// In what way it is worse than what was judged.
    fn worse_than(&self, handled: &Handled) -> Option<String> {
        if self.verdict == Verdict::Confirmed && handled.verdict != Verdict::Confirmed {
            let was = verdict_word(handled.verdict);
            return Some(format!("it is confirmed, and was {was}"));
        }
        let now = money_shown(&self.amount?.to_string(), self.currency.as_deref());
        let Some(was) = &handled.amount else {
            return Some(format!("{now} are at risk, and no amount was known"));
        };
        let currencies = (&self.currency, &handled.currency);
        let other_currency = matches!(currencies, (Some(now), Some(was)) if now != was);
        let smaller_or_same =
            Amount::exact(was).is_ok_and(|was| sortable(self.amount) <= sortable(Some(was)));
        let was = money_shown(was, handled.currency.as_deref());
        (other_currency || !smaller_or_same).then(|| format!("{now} are at risk, and were {was}"))
    }

    /// A person judged it.
    pub fn handle(&mut self, handling: Handling, by: &str, at: String, reason: Option<String>) {
        self.handling = handling;
        self.worse = false;
        self.handled = Some(Handled {
            by: by.to_owned(),
            at,
            reason,
            verdict: self.verdict,
            amount: self.amount.map(|amount| amount.to_string()),
            currency: self.currency.clone(),
        });
    }

    /// Nobody has judged it as it is now.
    pub fn reopen(&mut self) {
        self.handling = Handling::New;
        self.handled = None;
        self.worse = false;
    }
}

fn said(handling: Handling) -> &'static str {
    match handling {
        Handling::New => "new",
        Handling::Acknowledged => "acknowledged",
        Handling::Resolved => "resolved",
        Handling::FalseAlarm => "called a false alarm",
    }
}

fn money_shown(amount: &str, currency: Option<&str>) -> String {
    match currency {
        Some(currency) => format!("{amount} {currency}"),
        None => amount.to_owned(),
    }
}
