//! At any moment of a history, four that share nothing agree: the audit of the archive, detection as of then, the
//! audit of a snapshot taken then, and the auditor who knows the truth.

use centinel_engine::audit::AuditOptions;
use centinel_outlet::archive::ArchiveOptions;
use centinel_tests::{Detection, History, rules, schemas, write_log};
use data_fixtures::{Delivered, FaultKind, SimulationParameters, trouble};
use tempfile::TempDir;
use test_servers::S3;

use crate::kept::{archive_in, assert_each_once, assert_same, audit_at, found};
use centinel_engine::detect::Until;

/// Much less than the rows of a table take.
const NARROW_BYTES: usize = 1 << 20;

/// A history, and how it was delivered: some of it twice, some stretches again.
struct Lived {
    history: History,
    records: Vec<Delivered>,
    folder: TempDir,
}

impl Lived {
    fn new(seed: u64, orders: u64) -> Lived {
        let history = History::simulate(SimulationParameters {
            seed,
            orders,
            fault_share: 200,
            faults: FaultKind::ALL.to_vec(),
            ..SimulationParameters::default()
        });
        let repeated = trouble::repeat(history.records.iter().copied(), seed, 300);
        let records: Vec<Delivered> = trouble::replay(repeated, seed, 30).collect();
        assert!(records.len() > history.records.len());
        Lived {
            history,
            records,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Lets detection read it to its end.
    fn archived(&self, options: &ArchiveOptions) {
        let log = self.folder.path().join("log.jsonl");
        write_log(&log, &self.records);
        let catalog = schemas();
        let detection = Detection {
            until: Until::End,
            archive: Some(options.clone()),
            ..Detection::over(&log, self.folder.path())
        };
        let archive = detection.run(&catalog, &rules(&catalog)).archive.unwrap();
        assert_eq!((archive.waiting, archive.trouble), (0, None));
    }

    /// This many tenths of it.
    fn moment(&self, tenths: i64) -> i64 {
        let begin = self.history.records[0].record.committed_at();
        begin + (self.history.end - begin) / 10 * tenths
    }
}

#[test]
fn four_ways_agree_at_every_moment() {
    let lived = Lived::new(61, 2_000);
    let options = archive_in(lived.folder.path(), 1 << 20);
    lived.archived(&options);
    assert_each_once(&options, &lived.records);

    let catalog = schemas();
    let rules = rules(&catalog);
    let mut known = 0;
    for tenths in [1, 3, 6, 10] {
        let (moment, what) = (lived.moment(tenths), format!("{tenths} tenths"));
        let how = AuditOptions::default();
        let report = audit_at(&catalog, &rules, &options, moment, &how).unwrap();
        let found = found(&report);
        assert_same(&found, &lived.history.truth(moment), &what);
        let audited = lived.history.audited(&catalog, &rules, moment);
        assert_same(&found, &audited, &what);

        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.jsonl");
        write_log(&log, &lived.history.as_of(moment));
        let detected = Detection::over(&log, folder.path()).run(&catalog, &rules);
        assert_same(&found, &detected.certain(&rules, moment), &what);
        assert!(
            found.len() >= known,
            "{what}: nothing is mended in this history"
        );
        known = found.len();
    }
    assert!(known > 60, "{known}");
}

#[test]
fn rows_that_wait_in_files_give_the_same() {
    let lived = Lived::new(62, 2_000);
    let options = archive_in(lived.folder.path(), 4 << 20);
    lived.archived(&options);
    let catalog = schemas();
    let rules = rules(&catalog);
    for tenths in [4, 10] {
        let moment = lived.moment(tenths);
        let narrow = AuditOptions {
            memory_bytes: NARROW_BYTES,
            ..AuditOptions::default()
        };
        let report = audit_at(&catalog, &rules, &options, moment, &narrow).unwrap();
        let waited = |note: &String| note.contains("temporary files");
        assert!(report.notes.iter().any(waited), "{:?}", report.notes);
        let truth = lived.history.truth(moment);
        assert_same(&found(&report), &truth, &format!("{tenths} tenths"));
    }
}

#[test]
fn an_archive_on_an_s3_server_gives_the_same() {
    let server = S3::start();
    server.create_bucket("kept");
    let lived = Lived::new(63, 400);
    let options = ArchiveOptions {
        location: "s3://kept/of/platform".into(),
        store_options: [
            ("aws_endpoint", server.endpoint().as_str()),
            ("aws_allow_http", "true"),
            ("aws_access_key_id", server.access_key()),
            ("aws_secret_access_key", server.secret_key()),
            ("aws_region", "us-east-1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        ..archive_in(lived.folder.path(), 1 << 20)
    };
    lived.archived(&options);
    assert_each_once(&options, &lived.records);
    let catalog = schemas();
    let rules = rules(&catalog);
    for tenths in [2, 10] {
        let (moment, how) = (lived.moment(tenths), AuditOptions::default());
        let report = audit_at(&catalog, &rules, &options, moment, &how).unwrap();
        let truth = lived.history.truth(moment);
        assert_same(&found(&report), &truth, &format!("{tenths} tenths"));
    }
    assert!(lived.history.truth(lived.history.end).len() > 30);
}
