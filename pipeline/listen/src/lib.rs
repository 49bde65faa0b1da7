//! Connections of an HTTP service: TLS, their number, their patience. What all services of Centinel share.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
pub use tokio_rustls::TlsAcceptor;

const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a connection may take to send the head of its next request.
const IDLE: Duration = Duration::from_secs(75);
const FAREWELL: Duration = Duration::from_secs(5);

/// From where a request's connection comes; among the extensions of each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// TLS from a certificate chain and its key, both PEM. `table` is where the configuration names them.
///
/// # Errors
/// What is wrong with which file, and what would be right.
pub fn acceptor(certificate: &Path, key: &Path, table: &str) -> Result<TlsAcceptor, String> {
    let wrong = |file: &Path, error: &dyn std::fmt::Display| {
        format!(
            "{}: {error}: {table} names a certificate chain and its key, both PEM",
            file.display()
        )
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(certificate, &error))?;
    let key_file = key;
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| wrong(key_file, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(certificate, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| wrong(certificate, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves connections until the service ends, and waits a little for those that are being answered.
pub async fn listen(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    most: usize,
    ending: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(most));
    let mut ended = ending.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ended.changed() => break,
        };
        let Ok((socket, address)) = accepted else {
            // Out of file descriptors, most likely: let some close.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        // Beyond the most, connections are closed at once: the caller's default is better than waiting.
        let Ok(permit) = permits.clone().try_acquire_owned() else {
            continue;
        };
        let _ = socket.set_nodelay(true);
        let (router, tls, ending) = (router.clone(), tls.clone(), ending.clone());
        let peer = Peer(address);
        tokio::spawn(async move {
            match tls {
                None => connection(socket, peer, router, ending).await,
                Some(tls) => {
                    if let Ok(Ok(stream)) =
                        tokio::time::timeout(HANDSHAKE, tls.accept(socket)).await
                    {
                        connection(stream, peer, router, ending).await;
                    }
                }
            }
            drop(permit);
        });
    }
    drop(listener);
    let all = u32::try_from(most).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(FAREWELL, permits.acquire_many(all)).await;
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
    mut ending: watch::Receiver<bool>,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    tokio::select! {
        _ = served.as_mut() => return,
        _ = ending.changed() => served.as_mut().graceful_shutdown(),
    }
    let _ = tokio::time::timeout(FAREWELL, served).await;
}
