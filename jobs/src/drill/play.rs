//! A drill as it runs: micro-batch by micro-batch through the drill's own detection, the platform's questions and the
//! findings through the drill's own breaker, in the order of source time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use centinel_catalog::Catalog;
use centinel_model::{Finding, Verdict};
use centinel_rules::Rule;
use data_fixtures::DRILL_MARK;

use super::breaker::{Answered, OwnBreaker};
use super::judge::BreakerSeen;
use super::script::Script;
use super::watched::{Findings, Watched};

/// What a drill saw.
pub struct Played {
    /// What detection knows at the end.
    pub findings: Findings,
    /// Records that it could not read.
    pub holes: u64,
    /// Sources of the reference platform that the schemas lack.
    pub lacks: Vec<&'static str>,
    /// What the breaker did, where there was one.
    pub breaker: Option<BreakerSeen>,
}

/// Plays it to its end. The text says why that could not be done.
pub fn play(
    script: &Script,
    catalog: &Arc<Catalog>,
    rules: &[Arc<Rule>],
    with_breaker: bool,
    stop: &AtomicBool,
) -> Result<Played, String> {
    let mut watched = Watched::new(catalog, rules).map_err(|error| error.to_string())?;
    let mut beside = match with_breaker {
        true => Some(Beside::new(script, catalog, rules)?),
        false => None,
    };
    for (until, lines) in script.micro_batches() {
        if stop.load(Ordering::Relaxed) {
            return Err("stopped before its end".into());
        }
        // Money moves by what is known then: by the micro-batches before.
        if let Some(beside) = &mut beside {
            beside.ask(until)?;
        }
        let told = watched.read(lines).map_err(|error| error.to_string())?;
        if let Some(beside) = &mut beside {
            told.iter()
                .for_each(|finding| beside.report(finding, until));
        }
    }
    Ok(Played {
        holes: watched.holes(),
        lacks: watched.lacks(),
        findings: watched.findings,
        breaker: beside
            .map(|mut beside| {
                beside.ask(i64::MAX)?;
                beside.breaker.end()?;
                Ok::<_, String>(beside.seen)
            })
            .transpose()?,
    })
}

/// The breaker beside detection.
struct Beside<'a> {
    breaker: OwnBreaker,
    catalog: &'a Catalog,
    rules: HashMap<&'a str, &'a Rule>,
    seen: BreakerSeen,
}

impl<'a> Beside<'a> {
    fn new(
        script: &Script,
        catalog: &'a Catalog,
        rules: &'a [Arc<Rule>],
    ) -> Result<Beside<'a>, String> {
        let by_id = rules.iter().map(|rule| (rule.id.as_str(), rule.as_ref()));
        let breaker = OwnBreaker::start().map_err(|why| format!("the drill's breaker: {why}"))?;
        Ok(Beside {
            breaker,
            catalog,
            rules: by_id.collect(),
            seen: BreakerSeen {
                asks: script.asks.clone(),
                ..BreakerSeen::default()
            },
        })
    }

    /// Asks everything that moves up to this time.
    fn ask(&mut self, until: i64) -> Result<(), String> {
        while let Some(ask) = self.seen.asks.get(self.seen.answers.len())
            && ask.at <= until
        {
            let held = self.breaker.ask(ask);
            self.seen.answers.push(Answered {
                ask: self.seen.answers.len(),
                trips: self.seen.trips.len(),
                held: held.map_err(|why| format!("the drill's breaker: {why}"))?,
            });
        }
        Ok(())
    }

    /// Tells the breaker a finding that is sure, the first time that it is told. Nothing without a drill's mark goes
    /// there.
    fn report(&mut self, finding: &Finding, at: i64) {
        let is_drill = finding.entity_key.starts_with(DRILL_MARK);
        let Some(rule) = self.rules.get(finding.rule.as_str()).filter(|_| is_drill) else {
            return;
        };
        let key: Vec<&str> = finding
            .key
            .iter()
            .map(|(_, value)| value.as_str())
            .collect();
        let told = self
            .seen
            .trips
            .iter()
            .any(|trip| trip.rule == finding.rule && trip.key == key);
        if told || finding.verdict != Verdict::Confirmed {
            return;
        }
        let set = self.breaker.report(finding, rule, self.catalog, at);
        self.seen.trips.extend(set);
    }
}
