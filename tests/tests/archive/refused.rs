//! What the archive cannot tell is never judged as if it could.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_engine::EngineError;
use centinel_engine::audit::AuditOptions;
use centinel_engine::detect::Until;
use centinel_model::{Severity, Timestamp};
use centinel_outlet::Report;
use centinel_outlet::archive::{ArchiveOptions, Manifest, ManifestFile};
use centinel_tests::{Detection, History, folder, rules, schemas, write_log};
use data_fixtures::{Delivered, FaultKind, Record, SECOND, SimulationParameters, Source};
use tempfile::TempDir;

use crate::kept::{archive_in, audit_at, found};

fn history(seed: u64) -> History {
    let usual = SimulationParameters::default();
    History::simulate(SimulationParameters {
        seed,
        orders: 300,
        // Over a full hour, so that a segment has files of two.
        start: usual.start + 3_590 * SECOND,
        fault_share: 500,
        faults: FaultKind::ALL.to_vec(),
        ..usual
    })
}

/// An archive of a log that was read to its end.
struct Archived {
    folder: TempDir,
    options: ArchiveOptions,
    end: i64,
}

impl Archived {
    fn of(records: &[Delivered], end: i64) -> Archived {
        let folder = tempfile::tempdir().unwrap();
        write_log(&folder.path().join("log.jsonl"), records);
        Archived::of_log(folder, end)
    }

    /// Of the log in this folder.
    fn of_log(folder: TempDir, end: i64) -> Archived {
        let archived = Archived {
            options: archive_in(folder.path(), 250_000),
            folder,
            end,
        };
        let catalog = schemas();
        let detection = archived.detection(Some(archived.options.clone()));
        detection.run(&catalog, &rules(&catalog));
        assert!(
            archived.manifests().len() >= 3,
            "{}",
            archived.manifests().len()
        );
        archived
    }

    fn detection(&self, archive: Option<ArchiveOptions>) -> Detection {
        Detection {
            until: Until::End,
            archive,
            ..Detection::over(&self.folder.path().join("log.jsonl"), self.folder.path())
        }
    }

    fn audit(&self, moment: i64) -> Result<Report, EngineError> {
        let catalog = schemas();
        let how = AuditOptions::default();
        audit_at(&catalog, &rules(&catalog), &self.options, moment, &how)
    }

    /// Why nothing is judged as of a moment.
    #[track_caller]
    fn refusal(&self, moment: i64) -> String {
        match self.audit(moment) {
            Err(EngineError::Archive(why)) => why,
            other => panic!("{other:#?}"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.options.location).join(name)
    }

    fn manifests(&self) -> Vec<Manifest> {
        let read = |number| std::fs::read(self.path(&Manifest::name(number))).ok();
        let found = (1..).map_while(read);
        found
            .map(|bytes| serde_json::from_slice(&bytes).unwrap())
            .collect()
    }

    /// Refused with these words while `damage` is done to an object, and judged when it is back.
    #[track_caller]
    fn assert_refused(&self, name: &str, damage: impl FnOnce(&Path, Vec<u8>), words: &[&str]) {
        let path = self.path(name);
        let whole = std::fs::read(&path).unwrap();
        damage(&path, whole.clone());
        let why = self.refusal(self.end);
        for word in words.iter().chain([&name]) {
            assert!(why.contains(word), "{word}: {why}");
        }
        std::fs::write(&path, whole).unwrap();
        assert!(self.audit(self.end).is_ok());
    }

    /// Puts the file `other` where `file` of this segment should be, with a manifest that takes its size and rows
    /// for right ones.
    #[track_caller]
    fn assert_exchange_refused(
        &self,
        segment: &Manifest,
        file: &ManifestFile,
        other: &ManifestFile,
        word: &str,
    ) {
        let bytes = std::fs::read(self.path(&other.path)).unwrap();
        let mut forged = segment.clone();
        let named = forged
            .files
            .iter_mut()
            .find(|named| named.path == file.path)
            .unwrap();
        (named.bytes, named.rows) = (other.bytes, other.rows);
        let manifest = self.path(&Manifest::name(segment.number));
        let right = std::fs::read(&manifest).unwrap();
        std::fs::write(&manifest, serde_json::to_vec(&forged).unwrap()).unwrap();
        let path = self.path(&file.path);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let why = self.refusal(self.end);
        assert!(
            why.contains(word) && why.contains(&file.path),
            "{word}: {why}"
        );
        std::fs::write(&path, whole).unwrap();
        std::fs::write(&manifest, right).unwrap();
        assert!(self.audit(self.end).is_ok());
    }
}

#[test]
fn a_source_that_is_not_archived_so_far_is_named() {
    let history = history(65);
    let archived = Archived::of(&history.records, history.end);
    assert_eq!(
        found(&archived.audit(history.end).unwrap()),
        history.truth(history.end)
    );
    let why = archived.refusal(history.end + 1);
    for source in Source::ALL {
        let told = format!(
            "`{}` is archived up to {}",
            source.name(),
            Timestamp(history.end)
        );
        assert!(why.contains(&told), "{told}: {why}");
    }

    let silent = |record: &&Delivered| {
        record.source == Source::RefundDb && matches!(record.record, Record::Heartbeat(_))
    };
    let records: Vec<Delivered> = history
        .records
        .iter()
        .filter(|record| !silent(record))
        .copied()
        .collect();
    let archived = Archived::of(&records, history.end);
    let why = archived.refusal(history.end - 900 * SECOND);
    assert!(
        why.contains("`refund-db` has never said how far it stands"),
        "{why}"
    );
    assert!(!why.contains("payment-db"), "{why}");
    // A rule that does not depend on it can be judged.
    let catalog = schemas();
    let mut rules = rules(&catalog);
    rules.retain(|rule| rule.id == "payment-amount-is-positive");
    let how = AuditOptions::default();
    let report = audit_at(&catalog, &rules, &archived.options, history.end, &how).unwrap();
    assert_eq!(
        report.exit_status(Severity::Error),
        2,
        "{:?}",
        report.could_not_judge
    );
}

#[test]
fn what_is_missing_or_damaged_is_named() {
    let history = history(66);
    let archived = Archived::of(&history.records, history.end);
    let manifests = archived.manifests();
    let gone = |path: &Path, _| std::fs::remove_file(path).unwrap();
    let identity = archived.path("archive.json");
    let whole = std::fs::read(&identity).unwrap();
    std::fs::remove_file(&identity).unwrap();
    assert!(archived.refusal(history.end).contains("holds no archive"));
    std::fs::write(&identity, whole).unwrap();
    archived.assert_refused(
        &Manifest::name(2),
        gone,
        &["is missing, and later ones are there"],
    );
    let half =
        |path: &Path, whole: Vec<u8>| std::fs::write(path, &whole[..whole.len() / 2]).unwrap();
    archived.assert_refused(&Manifest::name(2), half, &[]);
    let foreign = |path: &Path, whole: Vec<u8>| {
        let mut manifest: Manifest = serde_json::from_slice(&whole).unwrap();
        manifest.archive = "0".repeat(32);
        std::fs::write(path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    };
    archived.assert_refused(&Manifest::name(2), foreign, &["belongs to another archive"]);
    let another = |path: &Path, _| {
        std::fs::copy(archived.path(&Manifest::name(1)), path).unwrap();
    };
    archived.assert_refused(
        &Manifest::name(2),
        another,
        &["is the manifest of segment 1"],
    );

    for file in manifests
        .iter()
        .flat_map(|manifest| &manifest.files)
        .step_by(7)
    {
        archived.assert_refused(&file.path, gone, &["is missing: put it back"]);
        archived.assert_refused(&file.path, half, &["its manifest says"]);
        let spoilt = |path: &Path, mut whole: Vec<u8>| {
            let end = whole.len();
            whole[end - 40..].fill(0);
            std::fs::write(path, whole).unwrap();
        };
        archived.assert_refused(&file.path, spoilt, &["cannot be read"]);
    }
    // The last one is no hole between others: the archive just does not reach so far.
    let last = archived.path(&Manifest::name(manifests.len() as u64));
    let whole = std::fs::read(&last).unwrap();
    std::fs::remove_file(&last).unwrap();
    assert!(archived.refusal(history.end).contains("does not reach"));
    std::fs::write(&last, whole).unwrap();
}

#[test]
fn a_file_in_the_place_of_another_is_named() {
    let history = history(67);
    let archived = Archived::of(&history.records, history.end);
    let manifests = archived.manifests();
    let of = |manifest: &Manifest, table: &str| -> Vec<ManifestFile> {
        let files = manifest.files.iter().filter(|file| file.table == table);
        files.cloned().collect()
    };
    let over_an_hour = manifests
        .iter()
        .find(|manifest| of(manifest, "payment").len() == 2);
    let segment = over_an_hour.unwrap();
    let [early, late] = &of(segment, "payment")[..] else {
        panic!("two hours");
    };
    archived.assert_exchange_refused(segment, early, late, "of another hour");
    let refund = &of(segment, "refund")[0];
    archived.assert_exchange_refused(segment, early, refund, "other columns");
    let other = manifests
        .iter()
        .find(|other| other.number != segment.number && !of(other, "payment").is_empty());
    let elsewhere = &of(other.unwrap(), "payment")[0];
    archived.assert_exchange_refused(segment, early, elsewhere, "of another segment");
    let mut fewer = late.clone();
    fewer.rows += 1;
    archived.assert_exchange_refused(segment, late, &fewer, "it holds");
}

/// The shipped schemas with a column of refunds as given.
fn with_reason(archived: &Archived, reason: &str) -> Arc<Catalog> {
    let place = archived.folder.path().join("schemas");
    std::fs::create_dir_all(&place).unwrap();
    for entry in std::fs::read_dir(folder("schemas")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.replace("  reason: { type: text, nullable: true }\n", reason);
            std::fs::write(place.join(path.file_name().unwrap()), text).unwrap();
        }
    }
    Arc::new(centinel_catalog::load(&place).unwrap())
}

#[test]
fn an_archive_is_not_read_under_schemas_that_would_misread_it() {
    let history = history(68);
    let archived = Archived::of(&history.records, history.end);
    let audited = |reason: &str| {
        let catalog = with_reason(&archived, reason);
        assert_ne!(catalog.fingerprint(), schemas().fingerprint());
        let how = AuditOptions::default();
        audit_at(
            &catalog,
            &rules(&catalog),
            &archived.options,
            history.end,
            &how,
        )
    };
    let refused = audited("  reason: { type: integer, nullable: true }\n")
        .unwrap_err()
        .to_string();
    assert!(refused.contains("written under other schemas"), "{refused}");
    assert!(
        refused.contains("column `reason` was text and is integer"),
        "{refused}"
    );
    let refused = audited("  remark: text\n").unwrap_err().to_string();
    assert!(
        refused.contains("column `remark` is new and not nullable"),
        "{refused}"
    );
    let read = audited("  remark: { type: text, nullable: true }\n").unwrap();
    let found: std::collections::BTreeSet<_> = read
        .findings
        .iter()
        .map(centinel_tests::Found::of)
        .collect();
    assert_eq!(found, history.truth(history.end));
}

#[test]
fn a_state_keeps_an_archive_from_its_beginning_or_none() {
    let history = history(69);
    let archived = Archived::of(&history.records, history.end);
    let catalog = schemas();
    let run = |detection: Detection| match detection.try_run(&catalog, &rules(&catalog), &|_| {}) {
        Err(EngineError::Unsupported(why)) => why,
        other => panic!("{:?}", other.map(|detected| detected.archive)),
    };
    let why = run(archived.detection(None));
    assert!(why.contains("this state keeps an archive"), "{why}");
    // The state of another may not write there.
    let log = archived.folder.path().join("log.jsonl");
    let other = tempfile::tempdir().unwrap();
    let why = run(Detection {
        archive: Some(ArchiveOptions {
            location: archived.options.location.clone(),
            ..archive_in(other.path(), 1 << 20)
        }),
        ..Detection::over(&log, other.path())
    });
    assert!(why.contains("the archive of another state"), "{why}");

    let without = tempfile::tempdir().unwrap();
    Detection::over(&log, without.path()).run(&catalog, &rules(&catalog));
    let why = run(Detection {
        archive: Some(archive_in(without.path(), 1 << 20)),
        ..Detection::over(&log, without.path())
    });
    assert!(why.contains("an archive begins with a new state"), "{why}");
}

#[test]
fn records_that_could_not_be_read_before_the_moment_are_told_beside_the_findings() {
    let history = history(71);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    write_log(&log, &history.records);
    let text = std::fs::read_to_string(&log).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    let place = lines.len() / 2;
    lines.insert(place, "{\"table\":\"payment\",\"op\":\"ins");
    std::fs::write(&log, lines.join("\n") + "\n").unwrap();
    let archived = Archived::of_log(folder, history.end);

    let report = archived.audit(history.end).unwrap();
    assert_eq!(report.exit_status(Severity::Error), 3);
    let reasons: Vec<&str> = report
        .could_not_judge
        .iter()
        .map(|told| told.reason.as_str())
        .collect();
    let [reason] = reasons[..] else {
        panic!("{reasons:?}");
    };
    assert!(
        reason.contains("1 records") && reason.contains("could not be read"),
        "{reason}"
    );
    assert_eq!(report.findings.len(), history.truth(history.end).len());

    // As of a moment before it, everything was known.
    let early = history.records[0].record.committed_at() + 30 * SECOND;
    let report = archived.audit(early).unwrap();
    assert_eq!(found(&report), history.truth(early));
}
