//! A real MariaDB with a row-based binary log.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::folder::Folder;
use crate::installed;
use crate::port::Port;
use crate::process::{NotStarted, Server, run};

/// A row of an answer: texts as MariaDB writes them, `None` for NULL.
pub type Row = Vec<Option<String>>;

const ATTEMPTS: usize = 5;
const USER: &str = "centinel";
const PASSWORD: &str = "centinel's password";
const ADMIN: &str = "admin";
const ADMIN_PASSWORD: &str = "admin's password";
const CATCH_UP_SECONDS: u32 = 60;

/// A MariaDB server of its own: `binlog_format=ROW`, full images, full metadata, strict GTIDs.
///
/// It has two users over TCP at `127.0.0.1`: Centinel's, with REPLICATION SLAVE, BINLOG MONITOR and SELECT
/// and nothing else, and an administrator. Neither stands in the binary log, which begins empty.
pub struct MariaDb {
    // In this order: the process ends before its folder goes and its port is free.
    server: Server,
    folder: Folder,
    port: Port,
}

impl MariaDb {
    /// Starts a server; `settings` are options of mariadbd (`--log-bin-compress=ON`) that win over those here.
    pub fn start(settings: &[&str]) -> MariaDb {
        let folder = Folder::new("mariadb");
        install(&folder);
        for _ in 0..ATTEMPTS {
            let port = Port::free();
            let mut server = server(&folder, &port, settings);
            match server.start() {
                Ok(()) => {
                    return MariaDb {
                        server,
                        folder,
                        port,
                    };
                }
                Err(NotStarted::PortTaken) => {}
                Err(NotStarted::Other(why)) => panic!("{why}"),
            }
        }
        panic!("MariaDB found every of {ATTEMPTS} ports taken");
    }

    /// Starts a replica of `primary` that writes what it replicates into its own binary log, with the same GTIDs.
    ///
    /// It has replicated everything of this moment when this returns.
    pub fn start_replica_of(primary: &MariaDb, settings: &[&str]) -> MariaDb {
        let mut all = vec!["--log-slave-updates=ON", "--read-only=ON"];
        all.extend(settings);
        let replica = MariaDb::start(&all);
        replica.execute(&format!(
            "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {}, MASTER_USER = '{ADMIN}', \
             MASTER_PASSWORD = \"{ADMIN_PASSWORD}\", MASTER_USE_GTID = slave_pos, \
             MASTER_CONNECT_RETRY = 1; START SLAVE",
            primary.port()
        ));
        replica.catch_up_with(primary);
        replica
    }

    /// Waits until this replica has everything that `primary` has committed by now.
    pub fn catch_up_with(&self, primary: &MariaDb) {
        let reached = primary.gtid_position();
        let answer = self.query(&format!(
            "SELECT MASTER_GTID_WAIT('{reached}', {CATCH_UP_SECONDS})"
        ));
        if answer != [[Some("0".to_owned())]] {
            let status = self.query("SHOW SLAVE STATUS");
            panic!("the replica did not reach {reached} in {CATCH_UP_SECONDS} s: {status:?}");
        }
    }

    /// Ends replication and lets clients write: this server is the primary now.
    pub fn promote(&self) {
        self.execute("STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = OFF");
    }

    /// Where the binary log stands, as a GTID set (`0-1-42`); empty when nothing was written.
    pub fn gtid_position(&self) -> String {
        let mut rows = self.query("SELECT @@GLOBAL.gtid_binlog_pos");
        rows.pop()
            .and_then(|mut row| row.pop())
            .flatten()
            .unwrap_or_default()
    }

    /// The TCP port at 127.0.0.1, the same after `start_again`.
    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// Centinel's user.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// The password of Centinel's user.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// A user who may do everything.
    pub fn admin_user(&self) -> &'static str {
        ADMIN
    }

    /// The administrator's password.
    pub fn admin_password(&self) -> &'static str {
        ADMIN_PASSWORD
    }

    /// The folder with the data and the binary logs (`binlog.000001`).
    pub fn data(&self) -> std::path::PathBuf {
        self.folder.join("data")
    }

    /// Runs statements, separated by `;`, as administrator in one connection; panics on an error.
    pub fn execute(&self, sql: &str) {
        self.client(ADMIN, ADMIN_PASSWORD, sql);
    }

    /// The rows of a query, as administrator; those of all answers when it has several statements.
    pub fn query(&self, sql: &str) -> Vec<Row> {
        rows(&self.client(ADMIN, ADMIN_PASSWORD, sql))
    }

    /// The rows of a query as Centinel's user; the error when MariaDB refuses.
    pub fn query_as_centinel(&self, sql: &str) -> Result<Vec<Row>, String> {
        let output = self
            .command(USER, PASSWORD)
            .args(["--execute", sql])
            .output()
            .unwrap();
        if output.status.success() {
            Ok(rows(&String::from_utf8_lossy(&output.stdout)))
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    fn client(&self, user: &str, password: &str, sql: &str) -> String {
        run("MariaDB's client", &mut self.command(user, password), sql)
    }

    fn command(&self, user: &str, password: &str) -> Command {
        let mut command = Command::new(installed::program("mariadb"));
        // XML tells NULL from the text NULL; the plain form does not.
        command.args([
            "--no-defaults",
            "--protocol=tcp",
            "--host=127.0.0.1",
            "--batch",
            "--xml",
        ]);
        command.args(["--default-character-set=utf8mb4", "--binary-mode"]);
        command.args([format!("--user={user}"), format!("--port={}", self.port())]);
        command.env("MYSQL_PWD", password);
        command
    }

    /// Stops the server as its service would (SIGTERM) and waits for its end.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Kills the server (SIGKILL).
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts the stopped or killed server on the same port and data.
    pub fn start_again(&mut self) {
        self.server.start_again();
    }

    /// Whether the process is there.
    pub fn is_running(&mut self) -> bool {
        self.server.is_running()
    }
}

/// Writes the system tables of a new server.
fn install(folder: &Folder) {
    let mut command = Command::new(installed::program("mariadb-install-db"));
    command.args([
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]);
    command
        .args(["--skip-name-resolve", "--innodb-log-file-size=8M"])
        .args(as_root());
    command.arg(format!("--datadir={}", folder.join("data").display()));
    // A starting server removes the temporary tables of all that share its folder for them.
    command.env("TMPDIR", folder.path());
    run("mariadb-install-db", &mut command, "");
}

/// MariaDB runs as root only when told so.
fn as_root() -> Option<&'static str> {
    rustix::process::geteuid()
        .is_root()
        .then_some("--user=root")
}

fn server(folder: &Folder, port: &Port, settings: &[&str]) -> Server {
    static NEXT_SERVER_ID: AtomicU32 = AtomicU32::new(1);
    let server_id = NEXT_SERVER_ID.fetch_add(1, Ordering::Relaxed);
    let users = folder.write("users.sql", &users());
    let at = |path: &Path| path.display().to_string();
    let mut arguments = vec![
        "--no-defaults".to_owned(),
        format!("--datadir={}", at(&folder.join("data"))),
        format!("--socket={}", at(&folder.join("socket"))),
        format!("--pid-file={}", at(&folder.join("pid"))),
        format!("--tmpdir={}", at(folder.path())),
        format!("--init-file={}", at(&users)),
        format!("--port={}", port.number),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--server-id={server_id}"),
    ];
    arguments.extend(as_root().map(str::to_owned));
    arguments.extend(
        DEFAULTS
            .iter()
            .chain(settings)
            .map(|&setting| setting.to_owned()),
    );
    Server {
        name: "MariaDB",
        program: installed::program("mariadbd"),
        arguments,
        log: folder.join("log"),
        ready: "ready for connections",
        child: None,
    }
}

const DEFAULTS: [&str; 18] = [
    "--log-bin=binlog",
    "--binlog-format=ROW",
    "--binlog-row-image=FULL",
    "--binlog-row-metadata=FULL",
    "--gtid-strict-mode=ON",
    "--sync-binlog=1",
    "--innodb-flush-log-at-trx-commit=2",
    "--skip-name-resolve",
    "--character-set-server=utf8mb4",
    "--default-time-zone=+00:00",
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=8M",
    "--key-buffer-size=1M",
    "--aria-pagecache-buffer-size=1M",
    "--performance-schema=OFF",
    "--max-connections=50",
    "--slave-net-timeout=5",
    "--loose-innodb-use-native-aio=OFF",
];

/// Runs at each start, out of the binary log, so that a replica's log equals its primary's.
fn users() -> String {
    format!(
        "SET sql_log_bin = 0;\n\
         CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY \"{PASSWORD}\";\n\
         GRANT REPLICATION SLAVE, BINLOG MONITOR, SELECT ON *.* TO '{USER}'@'%';\n\
         CREATE USER IF NOT EXISTS '{ADMIN}'@'%' IDENTIFIED BY \"{ADMIN_PASSWORD}\";\n\
         GRANT ALL PRIVILEGES ON *.* TO '{ADMIN}'@'%' WITH GRANT OPTION;\n"
    )
}

/// Reads the client's XML: `<row>` of `<field name="…">text</field>` or `<field name="…" xsi:nil="true" />`.
fn rows(xml: &str) -> Vec<Row> {
    xml.split("<row>").skip(1).map(row).collect()
}

fn row(xml: &str) -> Row {
    let xml = xml.split_once("</row>").expect("a row ends").0;
    let field = |xml: &str| {
        // Names and texts are escaped: the first > ends the tag.
        let (tag, rest) = xml.split_once('>').expect("a tag ends");
        if tag.ends_with('/') {
            return None;
        }
        let text = rest.split_once("</field>").expect("a field ends").0;
        Some(["&lt;<", "&gt;>", "&quot;\"", "&amp;&"].iter().fold(
            text.to_owned(),
            |text, escape| {
                let (escaped, meant) = escape.split_at(escape.len() - 1);
                text.replace(escaped, meant)
            },
        ))
    };
    xml.split("<field ").skip(1).map(field).collect()
}
