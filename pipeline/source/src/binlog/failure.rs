//! What can go wrong with a server, by what helps against it.

use mysql_async::{DriverError, Error, IoError};

use super::bytes::Malformed;

/// Why reading stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Waiting and connecting again may mend it.
    Passing(String),
    /// The same, but not for ever: another reader uses the same server id, or this server does not have what
    /// was read from another. Given up when it comes again and again.
    Doubtful { problem: String, remedy: String },
    /// Only a person can mend it.
    Lasting { problem: String, remedy: String },
    /// The log that comes next was purged.
    Purged(String),
}

impl Failure {
    pub(super) fn passing(problem: impl Into<String>) -> Failure {
        Failure::Passing(problem.into())
    }

    pub(super) fn lasting(problem: impl Into<String>, remedy: impl Into<String>) -> Failure {
        Failure::Lasting {
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

impl Failure {
    /// What was read is not there: the server was restored, or another one took its place.
    pub(super) fn lacks_transactions(said: &str) -> Failure {
        Failure::Doubtful {
            problem: format!("the server does not have the transactions that were read before: {said}"),
            remedy: "connect to the server that has them; if it was restored to an earlier state, begin with \
                     an empty state"
                .into(),
        }
    }
}

fn same_server_id(said: &str) -> Failure {
    Failure::Doubtful {
        problem: format!("the server gives the log to another reader: {said}"),
        remedy: "give each reader and replica a server_id of its own".into(),
    }
}

impl From<Malformed> for Failure {
    fn from(Malformed: Malformed) -> Failure {
        Failure::passing("an event of the log is cut short or says what cannot be")
    }
}

impl Failure {
    /// Of a connection that is being made: what is refused is the user, not a right of theirs.
    pub(super) fn of_connecting(error: Error) -> Failure {
        match &error {
            Error::Server(server) if server.code == ACCESS_DENIED => Failure::lasting(
                format!("the server refuses user and password: {}", server.message),
                "correct the user or the password",
            ),
            _ => error.into(),
        }
    }
}

impl From<arrow::error::ArrowError> for Failure {
    fn from(error: arrow::error::ArrowError) -> Failure {
        let remedy = "give the columns of the schemas types that exist";
        Failure::lasting(
            format!("the columns cannot be put together: {error}"),
            remedy,
        )
    }
}

const CERTIFICATE: &str = "give the certificate of the authority that signed the server's, and connect by \
                           the name in it";
const ACCESS_DENIED: u16 = 1045;
/// No right to the database, to read the log, to the command, the table, the column.
const NO_RIGHT: [u16; 5] = [1044, ACCESS_DENIED, 1227, 1142, 1143];
/// Another reader came with the same server id.
const SAME_SERVER_ID: u16 = 4052;
/// The server cannot give the log from where it was asked to.
const CANNOT_SEND_LOG: u16 = 1236;
const UNKNOWN_USER_FORM: [u16; 2] = [1251, 1698];

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match &error {
            Error::Server(server) => of_server(server.code, &server.message),
            Error::Driver(DriverError::NoClientSslFlagFromServer) => Failure::lasting(
                "the server does not offer TLS",
                "give the server a certificate (ssl_cert, ssl_key), or set tls to off",
            ),
            Error::Driver(DriverError::PacketTooLarge) => Failure::lasting(
                "an event of the log is larger than 256 MiB",
                "keep such rows out of the watched server",
            ),
            Error::Driver(DriverError::UnknownAuthPlugin { name }) => Failure::lasting(
                format!("the server wants the user identified by {name}, which is not supported"),
                "let the user be identified by mysql_native_password, or by caching_sha2_password in MySQL",
            ),
            Error::Io(IoError::Tls(tls)) => {
                Failure::lasting(format!("TLS with the server failed: {tls}"), CERTIFICATE)
            }
            // A certificate that is refused comes as an answer that could not be read.
            Error::Io(IoError::Io(io)) if io.to_string().contains("certificate") => {
                Failure::lasting(format!("TLS with the server failed: {io}"), CERTIFICATE)
            }
            Error::Url(_) => {
                Failure::lasting(error.to_string(), "correct the address of the server")
            }
            _ => Failure::Passing(error.to_string()),
        }
    }
}

fn of_server(code: u16, message: &str) -> Failure {
    let says = |text: &str| message.to_ascii_lowercase().contains(text);
    match code {
        code if UNKNOWN_USER_FORM.contains(&code) => Failure::lasting(
            format!("the server refuses the user: {message}"),
            "let the user be identified by mysql_native_password, or by caching_sha2_password in MySQL",
        ),
        code if NO_RIGHT.contains(&code) => Failure::lasting(
            format!("the user may not do what is needed: {message}"),
            "run GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* and GRANT SELECT on the watched tables TO \
             the user of this source",
        ),
        SAME_SERVER_ID => same_server_id(message),
        CANNOT_SEND_LOG if says("purged") || says("could not find gtid state") => {
            Failure::Purged(message.to_owned())
        }
        CANNOT_SEND_LOG if says("not in the master's binlog") || says("has more gtids than") => {
            Failure::lacks_transactions(message)
        }
        // MySQL's way to say SAME_SERVER_ID.
        CANNOT_SEND_LOG if says("with the same server_uuid/server_id") => same_server_id(message),
        CANNOT_SEND_LOG if says("gtid_mode") || says("anonymous transaction") => Failure::lasting(
            format!("the log cannot be read by GTID: {message}"),
            "let gtid_mode be ON, run FLUSH BINARY LOGS, and begin with an empty state and a snapshot",
        ),
        CANNOT_SEND_LOG if says("max_allowed_packet") => Failure::lasting(
            format!("the server cannot send its log: {message}"),
            "run SET GLOBAL max_allowed_packet = 1073741824, and connect anew",
        ),
        _ => Failure::Passing(format!("the server says {code}: {message}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_server_are_told_apart() {
        let purged = "Error: connecting slave requested to start from GTID 0-1-1, which is not in the master's \
                      binlog. Since the master's binlog contains GTIDs with higher sequence numbers, it probably \
                      means that the slave has diverged";
        assert!(matches!(of_server(1236, purged), Failure::Doubtful { .. }));
        let purged = "Could not find GTID state requested by slave in any binlog files. Probably the slave \
                      state is too old and required binlog files have been purged.";
        assert!(matches!(of_server(1236, purged), Failure::Purged(_)));
        let purged = "Cannot replicate because the source purged required binary logs. Replicate the missing \
                      transactions from elsewhere, or provision a new replica from backup.";
        assert!(matches!(of_server(1236, purged), Failure::Purged(_)));
        let purged = "The slave is connecting using CHANGE MASTER TO MASTER_AUTO_POSITION = 1, but the master has \
                      purged binary logs containing GTIDs that the slave requires.";
        assert!(matches!(of_server(1236, purged), Failure::Purged(_)));
        let lost = "Replica has more GTIDs than the source has, using the source's SERVER_UUID. This may indicate \
                    that the end of the binary log was truncated";
        assert!(matches!(of_server(1236, lost), Failure::Doubtful { .. }));
        let same = "A replica with the same server_uuid/server_id as this replica has connected to the source";
        assert!(matches!(of_server(1236, same), Failure::Doubtful { .. }));
        let mode = "The replication sender thread cannot start in AUTO_POSITION mode: this server has GTID_MODE = \
                    OFF instead of ON.";
        assert!(matches!(of_server(1236, mode), Failure::Lasting { .. }));
        assert!(matches!(of_server(1045, "no"), Failure::Lasting { .. }));
        assert!(matches!(of_server(4052, "same"), Failure::Doubtful { .. }));
        assert!(matches!(
            of_server(1040, "Too many connections"),
            Failure::Passing(_)
        ));
    }
}
