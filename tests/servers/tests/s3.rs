//! The S3 server really speaks S3 to the client that Centinel uses, and keeps its objects.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, RetryConfig};
use test_servers::S3;

fn client(server: &S3, secret_key: &str) -> Arc<AmazonS3> {
    let builder = AmazonS3Builder::new()
        .with_endpoint(server.endpoint())
        .with_allow_http(true);
    let builder = builder
        .with_access_key_id(server.access_key())
        .with_secret_access_key(secret_key);
    let builder = builder.with_region("us-east-1").with_bucket_name("audits");
    let builder = builder.with_conditional_put(S3ConditionalPut::ETagMatch);
    let retry = RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    };
    Arc::new(builder.with_retry(retry).build().unwrap())
}

async fn read(client: &AmazonS3, path: &str) -> Vec<u8> {
    client
        .get(&Path::from(path))
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap()
        .to_vec()
}

async fn names(client: &AmazonS3, prefix: &str) -> Vec<String> {
    let listed: Vec<_> = client
        .list(Some(&Path::from(prefix)))
        .try_collect()
        .await
        .unwrap();
    let mut names: Vec<_> = listed
        .into_iter()
        .map(|object| object.location.to_string())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn objects_are_kept_listed_and_removed() {
    let mut server = S3::start();
    server.create_bucket("audits");
    let store = client(&server, server.secret_key());
    store
        .put(&Path::from("day=1/payment.parquet"), "first".into())
        .await
        .unwrap();
    store
        .put(&Path::from("day=1/refund.parquet"), "second".into())
        .await
        .unwrap();
    store
        .put(&Path::from("day=2/payment.parquet"), "third".into())
        .await
        .unwrap();
    assert_eq!(
        names(&store, "day=1").await,
        ["day=1/payment.parquet", "day=1/refund.parquet"]
    );
    let part = store
        .get_range(&Path::from("day=1/refund.parquet"), 1..4)
        .await
        .unwrap();
    assert_eq!(&part[..], b"eco");

    server.kill();
    server.start_again();
    // A new client: the connections of the other were cut.
    let store = client(&server, server.secret_key());
    assert_eq!(read(&store, "day=2/payment.parquet").await, b"third");
    store
        .delete(&Path::from("day=2/payment.parquet"))
        .await
        .unwrap();
    server.stop();
    server.start_again();
    let store = client(&server, server.secret_key());
    assert_eq!(names(&store, "day=2").await, [""; 0]);
}

#[tokio::test]
async fn an_object_is_created_once() {
    let server = S3::start();
    server.create_bucket("audits");
    let store = client(&server, server.secret_key());
    let path = Path::from("findings.jsonl");
    store
        .put_opts(&path, "first".into(), PutMode::Create.into())
        .await
        .unwrap();
    let again = store
        .put_opts(&path, "second".into(), PutMode::Create.into())
        .await
        .unwrap_err();
    assert!(matches!(again, Error::AlreadyExists { .. }), "{again}");
    assert_eq!(read(&store, "findings.jsonl").await, b"first");
}

#[tokio::test]
async fn a_large_object_arrives_in_parts() {
    let server = S3::start();
    server.create_bucket("audits");
    let store = client(&server, server.secret_key());
    let mut upload = store.put_multipart(&Path::from("large")).await.unwrap();
    let part = vec![7_u8; 5 << 20];
    upload.put_part(part.clone().into()).await.unwrap();
    upload.put_part(vec![8_u8; 100].into()).await.unwrap();
    upload.complete().await.unwrap();
    let read = read(&store, "large").await;
    assert!(
        read[..part.len()] == part && read[part.len()..] == [8_u8; 100],
        "parts in order"
    );
}

#[tokio::test]
async fn a_wrong_key_is_refused() {
    let server = S3::start();
    server.create_bucket("audits");
    let refused = client(&server, "wrong")
        .put(&Path::from("a"), "x".into())
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("403"), "{refused}");
}
