use std::sync::Arc;

use centinel_breaker_service::{Config, Tls, create_first_admin, sqlite};

use crate::support::{PASSWORD, Service, config_text};

#[tokio::test(flavor = "multi_thread")]
async fn speaks_tls_and_nothing_else_when_it_has_a_certificate() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut config = Config::read(&config_text(&folder.path().join("breaker.db"))).unwrap();
    config.tls = Some(Tls { certificate, key });
    let open = sqlite(&config);
    create_first_admin(&open, "root", PASSWORD).unwrap();
    let mut service = Service::over(config, open, folder).await;

    let plain = service
        .client
        .get(format!("{}/v1/health", service.url))
        .send()
        .await;
    assert!(plain.is_err());
    service.url = service.url.replace("http://127.0.0.1", "https://localhost");
    let stranger = service
        .client
        .get(format!("{}/v1/health", service.url))
        .send()
        .await;
    assert!(stranger.is_err(), "an unknown certificate was trusted");
    let trusted = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    service.client = reqwest::Client::builder()
        .add_root_certificate(trusted)
        .build()
        .unwrap();
    assert_eq!(service.get("/v1/health", "").await["status"], "up");
    let root = service.sign_in("root").await;
    assert!(service.get("/v1/status", &root).await["trips"] == 0);
    service.stop().await;
}
