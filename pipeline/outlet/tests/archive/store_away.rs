//! The place of the archive is away for a while.

use std::time::Duration;

use centinel_outlet::archive::{Archive, Location};
use test_servers::S3;

use crate::harness::{self, Keeper, NOW, changes, options, schemas};

#[test]
fn nothing_is_lost_and_a_full_spool_stops() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    options.patience = Duration::from_millis(300);
    let mut keeper = Keeper::default();
    drop(keeper.open(&options));
    let place = folder.path().join("archive");
    std::fs::remove_dir_all(&place).unwrap();
    options.location = format!("file://{}/archive/below", folder.path().display());

    let mut archive = keeper.open(&options);
    // A file stands where the folder should be.
    std::fs::write(&place, b"").unwrap();
    for number in 1..=3 {
        keeper.commit(&mut archive, &changes("payment", &[(number, 1)]), true);
    }
    keeper.finish(&mut archive);
    let status = archive.status();
    assert_eq!(status.waiting, 3, "{status:?}");
    assert!(status.trouble.is_some());
    drop(archive);

    options.spool_limit = 1;
    let mut archive = keeper.open(&options);
    let full = archive.append(&changes("payment", &[(4, 1)])).unwrap_err();
    assert!(full.to_string().contains("its limit is 1"), "{full}");
    drop(archive);

    std::fs::remove_file(&place).unwrap();
    options.patience = Duration::from_secs(60);
    let mut archive = keeper.open(&options);
    for number in 4..=6 {
        keeper.commit(&mut archive, &changes("payment", &[(number, 1)]), true);
    }
    keeper.finish(&mut archive);
    assert_eq!(archive.status().waiting, 0);
    let numbers: Vec<u64> = harness::kept(&place).iter().map(|row| row.change).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn an_s3_server_that_dies_and_comes_back_gets_everything() {
    let mut server = S3::start();
    server.create_bucket("kept");
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    options.location = "s3://kept/of/platform".into();
    options.store_options = [
        ("AWS_ENDPOINT", server.endpoint()),
        ("AWS_ALLOW_HTTP", "true".into()),
        ("AWS_ACCESS_KEY_ID", server.access_key().into()),
        ("AWS_SECRET_ACCESS_KEY", server.secret_key().into()),
        ("AWS_REGION", "us-east-1".into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    let mut keeper = Keeper::default();
    let mut archive = keeper.open(&options);
    keeper.commit(&mut archive, &changes("payment", &[(1, 1)]), true);
    keeper.finish(&mut archive);
    assert_eq!(archive.status().waiting, 0);
    server.kill();
    for number in 2..=4 {
        keeper.commit(&mut archive, &changes("payment", &[(number, 1)]), true);
    }
    assert_eq!(archive.status().waiting, 3);
    server.start_again();
    keeper.finish(&mut archive);
    assert_eq!(archive.status().waiting, 0, "{:?}", archive.status());
    assert!(harness::spooled(&options).is_empty());
    drop(archive);

    let location = Location::open(&options.location, &options.store_options).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listed = runtime.block_on(location.list("")).unwrap();
    let mut names: Vec<String> = listed.into_iter().map(|(name, _)| name).collect();
    names.sort();
    let mut expected = vec!["archive.json".to_owned()];
    expected.extend((1..=4).map(|number| format!("segments/{number:012}.json")));
    expected.extend(
        (1..=4).map(|number| format!("table=payment/date=1970-01-01/hour=00/{number:012}.parquet")),
    );
    assert_eq!(names, expected);

    // Another state, and one that may not.
    let foreign = Archive::open(&schemas(), &options, None, None, NOW)
        .err()
        .unwrap();
    assert!(foreign.to_string().contains("another state"), "{foreign}");
    options.store_options[3].1 = "wrong".into();
    let stranger = Archive::open(&schemas(), &options, None, None, NOW)
        .err()
        .unwrap();
    assert!(!stranger.to_string().contains("wrong"), "{stranger}");
}
