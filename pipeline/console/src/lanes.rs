//! The line of time of one entity as swim lanes: a lane for each system and for rules, people and breaker, a column for
//! each moment. Pure.

use centinel_trace::{BREAKER_LANE, PEOPLE_LANE, RULES_LANE, Step, Trace};

/// Columns of one page.
pub const MOST_COLUMNS: usize = 600;

/// Lanes over a stretch of moments.
#[derive(Clone, Debug, PartialEq)]
pub struct Lanes<'a> {
    /// The moments, the oldest first.
    pub columns: Vec<Column<'a>>,
    /// The lanes: systems in the order of the trace, then rules, breaker and people; only those in which something
    /// happened anywhere in the trace.
    pub lanes: Vec<Lane<'a>>,
    /// The stage at which the stretch before this one ends, where there is one.
    pub earlier: Option<u32>,
    /// The stage with which the stretch behind this one begins, where there is one.
    pub later: Option<u32>,
}

/// One moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column<'a> {
    /// When.
    pub at: &'a str,
    /// The first stage of it.
    pub first: u32,
    /// The last one.
    pub last: u32,
}

impl Column<'_> {
    /// Whether a stage lies in it.
    pub fn holds(&self, stage: u32) -> bool {
        (self.first..=self.last).contains(&stage)
    }
}

/// One lane.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane<'a> {
    /// A system, or one of the lanes of the trace.
    pub name: &'a str,
    /// What happened there in each moment: as many as there are columns.
    pub cells: Vec<Vec<&'a Step>>,
}

/// A stage that is there: the last one where none, or one too high, is asked for. 0 is before everything.
pub fn stage(trace: &Trace, wanted: Option<u32>) -> u32 {
    let last = trace.steps.last().map_or(0, |step| step.stage);
    wanted.map_or(last, |wanted| wanted.min(last))
}

/// The lanes of the stretch in which a stage lies.
pub fn lanes(trace: &Trace, stage: u32) -> Lanes<'_> {
    let moments: Vec<&[Step]> = trace
        .steps
        .chunk_by(|left, right| left.at == right.at)
        .collect();
    let current = moments
        .partition_point(|steps| steps.first().is_some_and(|step| step.stage <= stage))
        .saturating_sub(1);
    let begins = current / MOST_COLUMNS * MOST_COLUMNS;
    let ends = moments.len().min(begins + MOST_COLUMNS);
    let shown = moments.get(begins..ends).unwrap_or_default();
    let last_of = |steps: &[Step]| steps.last().map_or(0, |step| step.stage);
    let first_of = |steps: &[Step]| steps.first().map_or(0, |step| step.stage);
    let columns = shown.iter().map(|steps| Column {
        at: steps.first().map_or("", |step| step.at.as_str()),
        first: first_of(steps),
        last: last_of(steps),
    });
    let known = trace.systems.iter().map(String::as_str);
    let others = [RULES_LANE, BREAKER_LANE, PEOPLE_LANE].into_iter();
    let others = others.filter(|lane| trace.steps.iter().any(|step| step.lane == *lane));
    let lanes = known.chain(others).map(|name| Lane {
        name,
        cells: shown
            .iter()
            .map(|steps| steps.iter().filter(|step| step.lane == name).collect())
            .collect(),
    });
    Lanes {
        columns: columns.collect(),
        lanes: lanes.collect(),
        earlier: begins.checked_sub(1).map(|at| last_of(moments[at])),
        later: moments.get(ends).map(|steps| first_of(steps)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use centinel_trace::{Completeness, PersonStep, TRACE_SCHEMA, What};

    fn trace(steps: &[(&str, &str)]) -> Trace {
        let step = |(number, (at, lane)): (usize, &(&str, &str))| Step {
            stage: u32::try_from(number).unwrap() + 1,
            at: (*at).into(),
            lane: (*lane).into(),
            by: None,
            by_hand: false,
            what: What::Person(PersonStep {
                finding_id: String::new(),
                rule: String::new(),
                act: "note".into(),
                text: None,
            }),
        };
        Trace {
            schema: TRACE_SCHEMA.into(),
            entity: "order".into(),
            key: "O1".into(),
            systems: vec!["payment".into(), "billing".into()],
            steps: steps.iter().enumerate().map(step).collect(),
            rules: Vec::new(),
            totals: Vec::new(),
            completeness: Completeness::default(),
            changes_left_out: 0,
            entries_left_out: 0,
        }
    }

    fn stages(lane: &Lane<'_>) -> Vec<Vec<u32>> {
        let of = |steps: &Vec<&Step>| steps.iter().map(|step| step.stage).collect();
        lane.cells.iter().map(of).collect()
    }

    #[test]
    fn what_happens_at_one_moment_stands_in_one_column() {
        let trace = trace(&[
            ("1", "payment"),
            ("1", "payment"),
            ("1", "billing"),
            ("2", "rules"),
            ("3", "payment"),
        ]);
        let lanes = lanes(&trace, 5);
        let columns: Vec<_> = lanes
            .columns
            .iter()
            .map(|one| (one.first, one.last))
            .collect();
        assert_eq!(columns, [(1, 3), (4, 4), (5, 5)]);
        let names: Vec<&str> = lanes.lanes.iter().map(|lane| lane.name).collect();
        assert_eq!(names, ["payment", "billing", "rules"]);
        assert_eq!(stages(&lanes.lanes[0]), [vec![1, 2], vec![], vec![5]]);
        assert_eq!(stages(&lanes.lanes[1]), [vec![3], vec![], vec![]]);
        assert_eq!(stages(&lanes.lanes[2]), [vec![], vec![4], vec![]]);
        assert_eq!((lanes.earlier, lanes.later), (None, None));
    }

    #[test]
    fn every_step_stands_in_exactly_one_cell_of_its_stretch() {
        let steps: Vec<(String, &str)> = (0..1_500u32)
            .map(|number| {
                (
                    format!("{:05}", number / 2),
                    ["payment", "billing"][number as usize % 2],
                )
            })
            .collect();
        let steps: Vec<(&str, &str)> = steps
            .iter()
            .map(|(at, lane)| (at.as_str(), *lane))
            .collect();
        let trace = trace(&steps);
        let mut seen = Vec::new();
        let mut stage = Some(1);
        while let Some(at) = stage {
            let lanes = lanes(&trace, at);
            assert!(lanes.columns.len() <= MOST_COLUMNS);
            assert!(lanes.columns.iter().any(|column| column.holds(at)));
            for lane in &lanes.lanes {
                assert_eq!(lane.cells.len(), lanes.columns.len());
                seen.extend(lane.cells.iter().flatten().map(|step| step.stage));
            }
            if let Some(earlier) = lanes.earlier {
                assert_eq!(
                    super::lanes(&trace, earlier).later,
                    Some(lanes.columns[0].first)
                );
            }
            stage = lanes.later;
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=1_500).collect::<Vec<u32>>());
    }

    #[test]
    fn a_stage_is_one_that_is_there() {
        let some = trace(&[("1", "payment"), ("2", "billing")]);
        assert_eq!(stage(&some, None), 2);
        assert_eq!(stage(&some, Some(9)), 2);
        assert_eq!(stage(&some, Some(0)), 0);
        let none = trace(&[]);
        assert_eq!(stage(&none, Some(3)), 0);
        assert!(lanes(&none, 0).columns.is_empty());
    }
}
