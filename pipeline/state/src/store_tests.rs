//! What the store keeps, and what it refuses.

use super::*;

fn wake(sources: u64, at: i64) -> Wake {
    Wake {
        sources,
        at: Timestamp(at),
    }
}

fn comes(number: u64, key: &str, document: &str) -> DocumentWrite {
    DocumentWrite {
        number,
        is_new: true,
        key: Arc::from(key.as_bytes()),
        bytes: Arc::from(document.as_bytes()),
    }
}

fn again(number: u64, key: &str, document: &str) -> DocumentWrite {
    DocumentWrite {
        is_new: false,
        ..comes(number, key, document)
    }
}

fn kept(number: u64, document: &str) -> Option<Kept> {
    let bytes = Arc::from(document.as_bytes());
    Some(Kept { number, bytes })
}

#[test]
fn what_is_no_state_is_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.redb");
    for content in [Vec::new(), b"text".repeat(10_000)] {
        std::fs::write(&file, content).unwrap();
        let refused = FileStore::open(folder.path(), 1 << 20).err().unwrap();
        assert!(matches!(refused, StateError::Corrupt(_)), "{refused}");
        let told = refused.to_string();
        assert!(told.contains("state.redb"), "{told}");
        assert!(told.contains("move the state folder away"), "{told}");
    }
    // A folder that cannot be made is no damage.
    let refused = FileStore::open(&file.join("below"), 1 << 20).err().unwrap();
    assert!(refused.to_string().contains("start again"), "{refused}");
}

#[test]
fn looking_at_a_state_changes_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let refused = FileStore::open_read_only(folder.path(), 1 << 20)
        .err()
        .unwrap();
    assert!(matches!(refused, StateError::Store(_)), "{refused}");
    let store = FileStore::open(folder.path(), 1 << 20).unwrap();
    let written = Commit {
        documents: vec![comes(0, "a", "1")],
        ..Commit::default()
    };
    store.commit(&written).unwrap();
    // Whoever writes has it alone.
    let refused = FileStore::open_read_only(folder.path(), 1 << 20)
        .err()
        .unwrap();
    assert!(matches!(refused, StateError::InUse { .. }), "{refused}");
    drop(store);

    let file = folder.path().join("state.redb");
    let before = std::fs::read(&file).unwrap();
    let first = FileStore::open_read_only(folder.path(), 1 << 20).unwrap();
    let second = FileStore::open_read_only(folder.path(), 1 << 20).unwrap();
    for store in [&first, &second] {
        assert_eq!(store.documents(&[b"a"]).unwrap(), [kept(0, "1")]);
        assert!(store.commit(&written).is_err());
    }
    let refused = FileStore::open(folder.path(), 1 << 20).err().unwrap();
    assert!(matches!(refused, StateError::InUse { .. }), "{refused}");
    drop((first, second));
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn a_state_of_an_earlier_form_is_not_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path(), 1 << 20).unwrap();
    let form = |form: &str| Commit {
        facts: vec![(FORM_FACT.into(), form.as_bytes().to_vec())],
        ..Commit::default()
    };
    store.commit(&form("4")).unwrap();
    drop(store);
    let refused = FileStore::open_read_only(folder.path(), 1 << 20)
        .err()
        .unwrap();
    assert!(matches!(refused, StateError::TooOld { .. }), "{refused}");
    assert!(refused.to_string().contains("start detection once"));
}

#[test]
fn what_one_commit_wrote_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path(), 1 << 20).unwrap();
    store
        .commit(&Commit {
            documents: vec![comes(1, "b", "2"), comes(0, "a", "1")],
            wakes_added: vec![(wake(1, 10), b"a".to_vec()), (wake(3, 5), b"b".to_vec())],
            facts: vec![("positions".into(), b"{}".to_vec())],
            outbox: vec![(1, b"m1".to_vec()), (2, b"m2".to_vec())],
            holes: vec![(1, b"hole".to_vec())],
            ..Commit::default()
        })
        .unwrap();
    store
        .commit(&Commit {
            delivered: 1,
            wakes_removed: vec![(wake(3, 5), b"b".to_vec())],
            ..Commit::default()
        })
        .unwrap();
    drop(store);
    let store = FileStore::open(folder.path(), 1 << 20).unwrap();
    let found = store.documents(&[b"a", b"b", b"c"]).unwrap();
    assert_eq!(found, [kept(0, "1"), kept(1, "2"), None]);
    assert_eq!(store.next_number().unwrap(), 2);
    assert_eq!(
        store
            .documents_after(Some(&store.place_of(b"a").unwrap()), 9)
            .unwrap(),
        [(b"b".to_vec(), b"2".to_vec())]
    );
    assert!(store.place_of(b"b").unwrap() < store.place_of(b"c").unwrap());
    assert_eq!(store.wake_sets().unwrap(), [1]);
    assert_eq!(store.due(1, Timestamp(9), 9).unwrap(), []);
    assert_eq!(
        store.due(1, Timestamp(10), 9).unwrap(),
        [(wake(1, 10), b"a".to_vec())]
    );
    assert_eq!(store.due(1, Timestamp::MAX, 9).unwrap().len(), 1);
    assert_eq!(store.undelivered().unwrap(), [(2, b"m2".to_vec())]);
    assert_eq!(store.holes(0, 9).unwrap().len(), 1);
    assert_eq!(store.fact("positions").unwrap(), Some(b"{}".to_vec()));
}

#[test]
fn documents_of_before_numbers_are_there_and_a_pass_over_them_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create(folder.path().join("state.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut by_key = transaction.open_table(DOCUMENTS_BY_KEY).unwrap();
        for (key, document) in [("ec", "3"), ("ea", "1"), ("eb", "2")] {
            by_key.insert(key.as_bytes(), document.as_bytes()).unwrap();
        }
        let mut facts = transaction.open_table(FACTS).unwrap();
        facts.insert(FORM_FACT, b"3".as_slice()).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    let entry = |key: &str, document: &str| (key.into(), document.into());
    for _ in 0..2 {
        let store = FileStore::open(folder.path(), 1 << 20).unwrap();
        let all = [entry("ea", "1"), entry("eb", "2"), entry("ec", "3")];
        assert_eq!(store.documents_after(None, 9).unwrap(), all);
        assert_eq!(store.documents_after(Some(b"ea"), 9).unwrap(), all[1..]);
        assert_eq!(store.documents(&[b"eb"]).unwrap(), [kept(1, "2")]);
        assert_eq!(store.count().unwrap(), 3);
    }
    let store = FileStore::open(folder.path(), 1 << 20).unwrap();
    store
        .commit(&Commit {
            documents: vec![
                comes(3, "e0", "0"),
                again(1, "eb", "22"),
                again(1, "eb", "23"),
            ],
            ..Commit::default()
        })
        .unwrap();
    let found = store.documents_after(Some(b"ea"), 9).unwrap();
    assert_eq!(
        found,
        [entry("eb", "23"), entry("ec", "3"), entry("e0", "0")]
    );
}

#[test]
fn numbers_go_on_from_the_state_that_is_there() {
    let store = FileStore::in_memory(1 << 20).unwrap();
    let commit = |documents: Vec<DocumentWrite>| {
        store.commit(&Commit {
            documents,
            ..Commit::default()
        })
    };
    commit(vec![comes(0, "b", "1"), comes(1, "a", "2")]).unwrap();
    for other in [
        vec![comes(2, "c", "3"), comes(4, "d", "4")],
        vec![comes(3, "c", "3")],
        vec![comes(1, "c", "3")],
        vec![comes(2, "c", "3"), comes(2, "d", "4")],
        vec![again(2, "c", "3")],
    ] {
        commit(other).unwrap_err();
        assert_eq!(store.next_number().unwrap(), 2);
    }
    commit(vec![
        comes(2, "c", "3"),
        again(0, "b", "5"),
        again(2, "c", "4"),
    ])
    .unwrap();
    let found = store.documents(&[b"a", b"b", b"c", b"d"]).unwrap();
    assert_eq!(found, [kept(1, "2"), kept(0, "5"), kept(2, "4"), None]);
}

#[test]
fn newer_forms_and_a_second_process_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path(), 1 << 20).unwrap();
    let second = FileStore::open(folder.path(), 1 << 20);
    assert!(matches!(second, Err(StateError::InUse { .. })));
    store
        .commit(&Commit {
            facts: vec![(FORM_FACT.into(), b"6".to_vec())],
            ..Commit::default()
        })
        .unwrap();
    drop(store);
    let newer = FileStore::open(folder.path(), 1 << 20);
    assert!(matches!(
        newer,
        Err(StateError::TooNew {
            found: 6,
            known: 5,
            ..
        })
    ));
}
