//! The fund circuit breaker as a service: its store, its HTTP interface, its audit log. [`serve`] is the whole of it.
//! What it is for and how to use it is in the README beside this crate.

pub mod audit;
mod clock;
mod config;
mod delivery;
mod directory;
mod http;
mod kafka;
mod limit;
mod metrics;
mod refused;
mod shared;
mod shown;
mod store;
mod webhook;
mod writer;

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use centinel_breaker::{Name, State};
use centinel_model::Duration;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use kafka::Recorder;
use webhook::Poster;

pub use audit::{Entry, Head, Verified};
pub use clock::{Clock, Mark, Wall};
pub use config::{
    Automatic, Config, ConfigError, Kafka, KafkaSetting, Point, Points, ServiceLimits, Span, Tls,
    Webhook,
};
pub use directory::{Account, Key, KeyScope, Role};
pub use http::{Needs, OPENAPI, ROUTES, Route};
pub use store::{Commit, Looked, OpenStore, Record, Sqlite, Store, StoreError, Way};
pub use webhook::signature;

/// Why the service did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store cannot be used.
    #[error("[breaker] store: {0}")]
    Store(#[from] StoreError),
    /// Something that it needs is not there.
    #[error("[breaker]: {0}")]
    Start(String),
}

/// The embedded store of a configuration.
pub fn sqlite(config: &Config) -> OpenStore {
    let (path, pages) = (config.store.clone(), config.limits.store_pages);
    Arc::new(move || {
        let mut store = Sqlite::open(&path)?;
        if pages > 0 {
            store.limit_pages(pages)?;
        }
        Ok(Box::new(store))
    })
}

/// Serves until `shutdown` is done. What was accepted is stored by then.
pub async fn serve(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    serve_and_tell(config, |_| {}, shutdown).await
}

/// The same; `listening` is told where, once the store is read.
pub async fn serve_and_tell(
    config: Config,
    listening: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    config.check()?;
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        ServeError::Start(format!(
            "{}: {error}: choose a free `listen` address",
            config.listen
        ))
    })?;
    let _owned = own(&config.store)?;
    let open = sqlite(&config);
    let wall = clock::system_wall();
    run(wall, config, open, listener, listening, shutdown).await
}

/// Keeps others from the store while this process uses it: two that decide apart would not know of each other's holds.
/// The system lets go of it when the process ends, however it ends.
fn own(store: &Path) -> Result<std::fs::File, ServeError> {
    let path = store.with_added_extension("lock");
    let wrong = |why: &dyn std::fmt::Display, remedy: &str| {
        ServeError::Start(format!("{}: {why}: {remedy}", path.display()))
    };
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| wrong(&error, "its folder must exist and be writable"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(wrong(
            &"another process uses this store",
            "stop it first, or give this one a store of its own",
        )),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(wrong(&error, "put it on a file system that can lock"))
        }
    }
}

/// The same over a given store and listener.
pub async fn serve_over(
    config: Config,
    open: OpenStore,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    serve_by(clock::system_wall(), config, open, listener, shutdown).await
}

/// The same by a given wall clock.
pub async fn serve_by(
    wall: Wall,
    config: Config,
    open: OpenStore,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    config.check()?;
    run(wall, config, open, listener, |_| {}, shutdown).await
}

async fn run(
    wall: Wall,
    config: Config,
    open: OpenStore,
    listener: TcpListener,
    listening: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let tls = config.tls.as_ref().map(|tls| {
        centinel_listen::acceptor(&tls.certificate, &tls.key, "[breaker.tls]")
            .map_err(ServeError::Start)
    });
    let tls = tls.transpose()?;
    let webhook = config.webhook.clone().map(Poster::new).transpose()?;
    let kafka = config.kafka.clone().map(Recorder::new).transpose()?;
    let mut store = open()?;
    let (head, records) = (store.head()?, store.load()?);
    let mark = records.iter().find_map(|record| match record {
        Record::Mark(mark) => Some(mark),
        _ => None,
    });
    let clock = Clock::by(mark, wall);
    let mut state = State::default();
    state.advance(clock.now());
    let (commands, waiting) = writer::channel();
    let (end, ending) = watch::channel(false);
    let directory = directory::Directory::default();
    let mut delivered = vec![];
    for record in records {
        match record {
            Record::Breaker(change) => state.put(&change),
            Record::Account(account) => directory.put_account(account),
            Record::Key(key) => directory.put_key(key),
            Record::Delivered(way, sequence) => delivered.push((way, sequence)),
            Record::Mark(_) => {}
        }
    }
    let most = config.limits.connections;
    let mut shared = shared::Shared::new(config, clock, state, open()?, commands, ending.clone());
    shared.directory = directory;
    for (way, sequence) in delivered {
        shared.delivered(way).store(sequence, Ordering::Relaxed);
    }
    let shared = Arc::new(shared);

    let writer = writer::Writer::new(shared.clone(), open, store, head);
    let (alive, died) = tokio::sync::oneshot::channel::<()>();
    let writing = std::thread::Builder::new()
        .name("breaker-writer".into())
        .spawn(move || {
            // Dropped when the thread ends, however it ends: without it nothing is stored, so nothing is served.
            let _alive = alive;
            writer.run(&waiting);
        })
        .map_err(|error| ServeError::Start(format!("no thread: {error}")))?;
    if let Some(webhook) = webhook {
        tokio::spawn(delivery::run(shared.clone(), webhook));
    }
    if let Some(kafka) = kafka {
        tokio::spawn(delivery::run(shared.clone(), kafka));
    }
    if let Ok(address) = listener.local_addr() {
        listening(address);
    }
    let served = centinel_listen::listen(listener, tls, http::router(&shared), most, ending);
    tokio::pin!(served);
    tokio::select! {
        () = &mut served => {}
        () = shutdown => {
            let _ = end.send(true);
            served.await;
        }
        _ = died => {
            let _ = end.send(true);
        }
    }
    shared.end_commands();
    let ended = tokio::task::spawn_blocking(move || writing.join()).await;
    match ended {
        Ok(Ok(())) => Ok(()),
        _ => Err(ServeError::Start(
            "the writing thread failed: start the service again".into(),
        )),
    }
}

/// Makes the first admin of a configuration's store, while the service does not run.
pub fn first_admin(config: &Config, name: &str, password: &str) -> Result<(), ServeError> {
    let _owned = own(&config.store)?;
    create_first_admin(&sqlite(config), name, password)
}

/// Makes the first admin of a store that no service uses.
pub fn create_first_admin(open: &OpenStore, name: &str, password: &str) -> Result<(), ServeError> {
    let name = Name::new(name).map_err(|error| ServeError::Start(error.to_string()))?;
    let mut store = open()?;
    let known = store.load()?.into_iter().any(|record| match record {
        Record::Account(account) => account.role == Role::Admin || account.name == name,
        _ => false,
    });
    if known {
        return Err(ServeError::Start(
            "there is an admin, or an account of this name, already: sign in as one".into(),
        ));
    }
    let password = directory::hash_password(password).map_err(ServeError::Start)?;
    let account = Account {
        name,
        role: Role::Admin,
        password,
        disabled: false,
    };
    let mut head = store.head()?;
    let entry = head.chain(&audit::Body {
        at: audit::at(Clock::after(None).both().wall),
        by: centinel_breaker::ITSELF.into(),
        act: "account.create".into(),
        about: json!({"name": account.name, "role": account.role}),
        changes: vec![],
    })?;
    let commit = Commit {
        records: vec![Record::Account(account)],
        entries: vec![entry],
    };
    Ok(store.commit(&commit)?)
}

/// What a key may ask that [`create_key`] made.
const OWN_REQUESTS_PER_SECOND: u32 = 10_000;

/// Makes a key of a store that no service uses, for a program that starts a breaker of its own. Returns its token.
pub fn create_key(
    config: &Config,
    name: &str,
    scopes: &[KeyScope],
    lasts: Duration,
) -> Result<String, ServeError> {
    let _owned = own(&config.store)?;
    let name = Name::new(name).map_err(|error| ServeError::Start(error.to_string()))?;
    let random = |bytes| directory::random(bytes).map_err(|why| ServeError::Start(why.into()));
    let (id, secret) = (random(9)?, random(32)?);
    let mut store = sqlite(config)()?;
    let records = store.load()?;
    let mark = records.iter().find_map(|record| match record {
        Record::Mark(mark) => Some(mark),
        _ => None,
    });
    let clock = Clock::after(mark);
    let key = Key {
        id: id.clone(),
        name,
        scopes: scopes.to_vec(),
        points: vec![],
        hash: directory::digest(&secret),
        expires: clock.now().plus(lasts),
        revoked: false,
        requests_per_second: OWN_REQUESTS_PER_SECOND,
    };
    let mut head = store.head()?;
    let entry = head.chain(&audit::Body {
        at: audit::at(clock.both().wall),
        by: centinel_breaker::ITSELF.into(),
        act: "key.create".into(),
        about: json!({"id": key.id, "name": key.name, "scopes": key.scopes}),
        changes: vec![],
    })?;
    let commit = Commit {
        records: vec![Record::Key(key), Record::Mark(clock.mark())],
        entries: vec![entry],
    };
    store.commit(&commit)?;
    Ok(format!("cbk.{id}.{secret}"))
}

/// Makes an account of a store that no service uses, for a program that starts a breaker of its own, or gives it this
/// role and a new password. Returns the password, which stands nowhere else.
pub fn renew_account(config: &Config, name: &str, role: Role) -> Result<String, ServeError> {
    let _owned = own(&config.store)?;
    let name = Name::new(name).map_err(|error| ServeError::Start(error.to_string()))?;
    let password = directory::random(12).map_err(|why| ServeError::Start(why.into()))?;
    let account = Account {
        name,
        role,
        password: directory::hash_password(&password).map_err(ServeError::Start)?,
        disabled: false,
    };
    let mut store = sqlite(config)()?;
    let known = store
        .load()?
        .into_iter()
        .any(|record| matches!(record, Record::Account(known) if known.name == account.name));
    let mut head = store.head()?;
    let entry = head.chain(&audit::Body {
        at: audit::at(Clock::after(None).both().wall),
        by: centinel_breaker::ITSELF.into(),
        act: if known {
            "account.change"
        } else {
            "account.create"
        }
        .into(),
        about: json!({"name": account.name, "role": account.role, "password": true}),
        changes: vec![],
    })?;
    let commit = Commit {
        records: vec![Record::Account(account)],
        entries: vec![entry],
    };
    store.commit(&commit)?;
    Ok(password)
}

/// So many random bytes as text, for a secret of a program that starts a breaker of its own.
///
/// # Errors
/// When the system gives none.
pub fn random_text(bytes: usize) -> Result<String, &'static str> {
    directory::random(bytes)
}

/// Verifies the audit log of a store, running or not.
pub fn verify_log(path: &Path, noted: Option<&Head>) -> Result<Verified, ServeError> {
    if !path.exists() {
        return Err(ServeError::Start(format!(
            "{}: there is no such store",
            path.display()
        )));
    }
    Ok(audit::verify(&mut Sqlite::open(path)?, noted)?)
}
