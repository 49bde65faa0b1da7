//! Who may do what: API keys of programs, accounts of people.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use centinel_breaker::{Instant, Name, Point};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Also trips, and proposes releases.
    Operator,
    /// Also confirms and releases.
    Approver,
    /// Looks, and manages accounts and keys. Trips and releases nothing: whoever makes accounts must not use them.
    Admin,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Operator, Role::Approver, Role::Admin];

    /// Whether this role may do what the other one may at least.
    pub fn includes(self, needed: Role) -> bool {
        match needed {
            Role::Viewer => true,
            Role::Operator => matches!(self, Role::Operator | Role::Approver),
            Role::Approver => self == Role::Approver,
            Role::Admin => self == Role::Admin,
        }
    }
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyScope {
    /// Check requests, at the key's points.
    Check,
    /// Read what became of held requests.
    Dispositions,
    /// Follow the changes, for a cache.
    Changes,
    /// Report findings and progress: detection's.
    Findings,
}

impl KeyScope {
    /// All scopes.
    pub const ALL: [KeyScope; 4] = [
        KeyScope::Check,
        KeyScope::Dispositions,
        KeyScope::Changes,
        KeyScope::Findings,
    ];
}

/// An account. Never removed, so that its name stands for one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its name.
    pub name: Name,
    /// What it may do.
    pub role: Role,
    /// Argon2id of the password.
    pub password: String,
    /// Whether it is shut.
    pub disabled: bool,
}

/// An API key. Its secret is 256 random bits, so one round of SHA-256 hides it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Names it; part of the token.
    pub id: String,
    /// Whose it is. Several keys may have one name: the next is made before the last is revoked.
    pub name: Name,
    /// What it may do.
    pub scopes: Vec<KeyScope>,
    /// Where it may check; all points when empty.
    pub points: Vec<Point>,
    /// SHA-256 of the secret, hexadecimal.
    pub hash: String,
    /// When it expires, on the breaker's clock.
    pub expires: Instant,
    /// Whether it was revoked.
    pub revoked: bool,
    /// Most requests in a second.
    pub requests_per_second: u32,
}

/// A token that does not fit any key or session. It does not say why: whoever has none learns nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct NotKnown;

/// Who calls.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A program.
    Key(Arc<Key>),
    /// A person.
    Person {
        /// Their account.
        name: Name,
        /// What it may do.
        role: Role,
    },
}

impl Caller {
    /// How the audit log names it.
    pub fn name(&self) -> String {
        match self {
            Caller::Key(key) => format!("key {} ({})", key.name, key.id),
            Caller::Person { name, .. } => name.to_string(),
        }
    }
}

/// `n` random bytes as text. Fails only where the system has no randomness.
pub fn random(bytes: usize) -> Result<String, &'static str> {
    let mut random = vec![0; bytes];
    let filled = SystemRandom::new().fill(&mut random);
    filled.map_err(|_| "the system gives no random numbers")?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

/// SHA-256, hexadecimal.
pub fn digest(secret: &str) -> String {
    let digest = Sha256::digest(secret.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// OWASP's first choice: 19 MiB, two passes, one lane.
fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

/// Shortest password.
pub const SHORTEST_PASSWORD: usize = 12;

/// Hashes a password. It takes some milliseconds on purpose.
pub fn hash_password(password: &str) -> Result<String, String> {
    if password.chars().count() < SHORTEST_PASSWORD || password.len() > 256 {
        return Err(format!(
            "a password has {SHORTEST_PASSWORD} letters at least, and 256 bytes at most"
        ));
    }
    let salt = random(16)?.replace(['-', '_'], "x");
    let salt = SaltString::from_b64(&salt).map_err(|error| error.to_string())?;
    let hash = argon2().hash_password(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string())
        .map_err(|error| error.to_string())
}

/// Whether it is the password. It takes the same time for an account that does not exist.
pub fn is_password(password: &str, account: Option<&Account>) -> bool {
    const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let hash = account.map_or(NOBODY, |account| account.password.as_str());
    let parsed = PasswordHash::new(hash);
    let fits =
        parsed.is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok());
    fits && account.is_some_and(|account| !account.disabled)
}

struct Session {
    name: Name,
    hash: String,
    expires: Instant,
}

#[derive(Default)]
struct Entries {
    accounts: HashMap<Name, Arc<Account>>,
    keys: HashMap<String, Arc<Key>>,
    sessions: HashMap<String, Session>,
}

/// All keys, accounts and sessions. Sessions end with the process.
#[derive(Default)]
pub struct Directory(Mutex<Entries>);

/// Most sessions at once.
const MOST_SESSIONS: usize = 10_000;

impl Directory {
    fn entries(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an account.
    pub fn put_account(&self, account: Account) {
        self.entries()
            .accounts
            .insert(account.name.clone(), Arc::new(account));
    }

    /// Takes a key.
    pub fn put_key(&self, key: Key) {
        self.entries().keys.insert(key.id.clone(), Arc::new(key));
    }

    /// An account.
    pub fn account(&self, name: &str) -> Option<Arc<Account>> {
        self.entries().accounts.get(name).cloned()
    }

    /// A key.
    pub fn key(&self, id: &str) -> Option<Arc<Key>> {
        self.entries().keys.get(id).cloned()
    }

    /// All accounts, by name.
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        let mut accounts: Vec<_> = self.entries().accounts.values().cloned().collect();
        accounts.sort_by(|left, right| left.name.cmp(&right.name));
        accounts
    }

    /// All keys, by id.
    pub fn keys(&self) -> Vec<Arc<Key>> {
        let mut keys: Vec<_> = self.entries().keys.values().cloned().collect();
        keys.sort_by(|left, right| left.id.cmp(&right.id));
        keys
    }

    /// Begins a session; gives its token.
    pub fn sign_in(
        &self,
        name: Name,
        now: Instant,
        expires: Instant,
    ) -> Result<String, &'static str> {
        let (id, secret) = (random(9)?, random(32)?);
        let mut entries = self.entries();
        entries.sessions.retain(|_, session| now < session.expires);
        if entries.sessions.len() >= MOST_SESSIONS {
            return Err("too many people are signed in");
        }
        let hash = digest(&secret);
        let session = Session {
            name,
            hash,
            expires,
        };
        entries.sessions.insert(id.clone(), session);
        Ok(format!("cbs.{id}.{secret}"))
    }

    /// Ends all sessions of an account.
    pub fn sign_out(&self, name: &str) {
        self.entries()
            .sessions
            .retain(|_, session| session.name.as_str() != name);
    }

    /// Whose id this token has, whether or not its secret is right; for the audit log.
    pub fn claimed(&self, token: &str) -> Option<String> {
        let mut parts = token.splitn(3, '.');
        let (kind, id) = (parts.next()?, parts.next()?);
        let entries = self.entries();
        match kind {
            "cbk" => {
                let key = entries.keys.get(id)?.clone();
                Some(Caller::Key(key).name())
            }
            "cbs" => Some(entries.sessions.get(id)?.name.to_string()),
            _ => None,
        }
    }

    /// Who has this token.
    pub fn caller(&self, token: &str, now: Instant) -> Result<Caller, NotKnown> {
        let mut parts = token.splitn(3, '.');
        let (kind, id, secret) = (parts.next(), parts.next(), parts.next());
        let (id, secret) = id.zip(secret).ok_or(NotKnown)?;
        // Digests are compared, not secrets: how far they agree tells nothing of the secret.
        let hash = digest(secret);
        let entries = self.entries();
        match kind {
            Some("cbk") => {
                let key = entries.keys.get(id).ok_or(NotKnown)?;
                let fits = key.hash == hash && !key.revoked && now < key.expires;
                fits.then(|| Caller::Key(key.clone())).ok_or(NotKnown)
            }
            Some("cbs") => {
                let session = entries.sessions.get(id).ok_or(NotKnown)?;
                let account = entries.accounts.get(&session.name).ok_or(NotKnown)?;
                let fits = session.hash == hash && now < session.expires && !account.disabled;
                let caller = || Caller::Person {
                    name: account.name.clone(),
                    role: account.role,
                };
                fits.then(caller).ok_or(NotKnown)
            }
            _ => Err(NotKnown),
        }
    }
}
