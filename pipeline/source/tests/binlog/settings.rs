//! Servers and users that are not as they must be.

use centinel_source::{Problem, check_binlog};
use test_servers::MariaDb;

use crate::support::{CREATE_PAYMENT, PAYMENT, Running, catalog, options};

fn says(problems: &[Problem], what: &str, remedy: &str) {
    let found = problems
        .iter()
        .any(|problem| problem.what.contains(what) && problem.remedy.contains(remedy));
    assert!(found, "{what} / {remedy} is not in {problems:#?}");
}

#[test]
fn a_right_server_has_no_problems() {
    let server = MariaDb::start(&["--binlog-expire-logs-seconds=604800"]);
    server.execute(CREATE_PAYMENT);
    assert_eq!(
        check_binlog(&catalog(&[PAYMENT]), &options(&server, server.port())),
        []
    );
}

#[test]
fn every_wrong_setting_is_told_with_its_statement() {
    let server = MariaDb::start(&[
        "--binlog-format=STATEMENT",
        "--binlog-row-image=MINIMAL",
        "--binlog-row-metadata=NO_LOG",
        "--binlog-checksum=NONE",
        "--gtid-strict-mode=OFF",
        "--binlog-expire-logs-seconds=3600",
    ]);
    server.execute(
        "SET SESSION binlog_format = 'ROW'; CREATE DATABASE pay; \
         CREATE TABLE pay.payment (payment_no VARCHAR(40), order_no INT, amount DOUBLE) ENGINE = Aria",
    );
    let catalog = catalog(&[PAYMENT, &PAYMENT.replace("table: payment", "table: refund")]);
    let mut options = options(&server, server.port());
    let own = server.query("SELECT @@server_id").pop().unwrap()[0]
        .clone()
        .unwrap();
    options.server_id = own.parse().unwrap();
    let problems = check_binlog(&catalog, &options);
    says(
        &problems,
        "binlog_format is STATEMENT",
        "SET GLOBAL binlog_format = 'ROW'",
    );
    says(
        &problems,
        "binlog_row_image is MINIMAL",
        "SET GLOBAL binlog_row_image = 'FULL'",
    );
    says(
        &problems,
        "binlog_row_metadata is NO_LOG",
        "SET GLOBAL binlog_row_metadata = 'FULL'",
    );
    says(
        &problems,
        "binlog_checksum is NONE",
        "SET GLOBAL binlog_checksum = 'CRC32'",
    );
    says(
        &problems,
        "gtid_strict_mode is OFF",
        "SET GLOBAL gtid_strict_mode = ON",
    );
    says(&problems, "3600 s", "SET GLOBAL binlog_expire_logs_seconds");
    says(&problems, "is the server's own", "another server_id");
    says(
        &problems,
        "no table of the server belongs to `refund`",
        "`from`",
    );
    says(&problems, "column `amount`", "ALTER TABLE `pay`.`payment`");
    says(
        &problems,
        "column `order_no`",
        "ALTER TABLE `pay`.`payment`",
    );
    says(
        &problems,
        "has no column `fen`",
        "ALTER TABLE `pay`.`payment`",
    );
    says(&problems, "kept by Aria", "ENGINE = InnoDB");
    says(&problems, "no primary key", "ADD PRIMARY KEY");
    let error = Running::open(&catalog, options).error().to_string();
    assert!(
        error.contains("SET GLOBAL binlog_format = 'ROW'"),
        "{error}"
    );
}

#[test]
fn a_user_without_rights_is_told_what_to_grant() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    server.execute("CREATE USER poor@'%' IDENTIFIED BY 'p'; GRANT SELECT (payment_no) ON pay.payment TO poor@'%'");
    let catalog = catalog(&[PAYMENT]);
    let mut options = options(&server, server.port());
    options.user = "poor".into();
    options.password = centinel_source::Password::new("p");
    let problems = check_binlog(&catalog, &options);
    says(
        &problems,
        "no REPLICATION SLAVE",
        "GRANT REPLICATION SLAVE ON *.* TO 'poor'",
    );
    says(
        &problems,
        "no BINLOG MONITOR",
        "GRANT BINLOG MONITOR ON *.* TO 'poor'",
    );
    options.snapshot = false;
    let error = Running::open(&catalog, options).error().to_string();
    assert!(error.contains("GRANT"), "{error}");
}

#[test]
fn a_wrong_password_is_no_reason_to_wait_and_is_not_shown() {
    let server = MariaDb::start(&[]);
    let mut options = options(&server, server.port());
    options.password = centinel_source::Password::new("secret-and-wrong");
    let catalog = catalog(&[PAYMENT]);
    let error = Running::open(&catalog, options.clone()).error().to_string();
    assert!(
        error.contains("correct the user or the password"),
        "{error}"
    );
    let problems = check_binlog(&catalog, &options);
    says(&problems, "refuses user and password", "correct the user");
    assert!(!format!("{error}{problems:?}{options:?}").contains("secret-and-wrong"));
}

#[test]
fn a_server_id_that_another_reader_takes_is_given_up() {
    let server = MariaDb::start(&[]);
    server.execute(CREATE_PAYMENT);
    let catalog = catalog(&[PAYMENT]);
    let mut first = Running::open(&catalog, options(&server, server.port()));
    first.catch_up();
    let mut second = Running::open(&catalog, options(&server, server.port()));
    let since = std::time::Instant::now();
    let error = loop {
        assert!(
            since.elapsed().as_secs() < 60,
            "{} / {}",
            first.input.state(),
            second.input.state()
        );
        let mut failed = None;
        for running in [&mut first, &mut second] {
            if let Err(error) =
                centinel_source::Input::read(&mut running.input, crate::support::now())
            {
                failed = Some(error);
            }
        }
        if let Some(error) = failed {
            break error.to_string();
        }
    };
    assert!(error.contains("server_id of its own"), "{error}");
}

#[test]
fn tls_that_the_server_does_not_have_is_told() {
    let server = MariaDb::start(&[]);
    let mut options = options(&server, server.port());
    options.tls = centinel_source::Tls::Required { ca: None };
    let problems = check_binlog(&catalog(&[PAYMENT]), &options);
    says(&problems, "TLS", "tls to off");
}

#[test]
fn a_server_id_in_use_is_told_to_who_may_know() {
    let server = MariaDb::start(&["--binlog-expire-logs-seconds=604800"]);
    server.execute(CREATE_PAYMENT);
    let catalog = catalog(&[PAYMENT]);
    let mut running = Running::open(&catalog, options(&server, server.port()));
    running.catch_up();
    let mut options = options(&server, server.port());
    options.user = server.admin_user().into();
    options.password = centinel_source::Password::new(server.admin_password());
    let problems = check_binlog(&catalog, &options);
    says(&problems, "server_id 9001 is in use", "of its own");
    options.server_id = 9_002;
    assert_eq!(check_binlog(&catalog, &options), []);
}

#[test]
fn tls_is_used_and_checked_where_it_is_required() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let openssl = |arguments: &[&str]| {
        let run = std::process::Command::new("openssl")
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
    };
    for name in ["ca", "other"] {
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=Test",
            "-keyout",
            &at(&format!("{name}.key")),
            "-out",
            &at(&format!("{name}.pem")),
        ]);
    }
    openssl(&[
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-keyout",
        &at("server.key"),
        "-out",
        &at("server.csr"),
    ]);
    std::fs::write(folder.path().join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
    openssl(&[
        "x509",
        "-req",
        "-in",
        &at("server.csr"),
        "-CA",
        &at("ca.pem"),
        "-CAkey",
        &at("ca.key"),
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        &at("names"),
        "-out",
        &at("server.pem"),
    ]);
    let server = MariaDb::start(&[
        &format!("--ssl-cert={}", at("server.pem")),
        &format!("--ssl-key={}", at("server.key")),
        "--require-secure-transport=ON",
    ]);
    let catalog = catalog(&[PAYMENT]);
    let mut options = options(&server, server.port());
    options.snapshot = false;
    options.tls = centinel_source::Tls::Required {
        ca: Some(folder.path().join("ca.pem")),
    };
    Running::open(&catalog, options.clone()).catch_up();
    for ca in [Some(folder.path().join("other.pem")), None] {
        options.tls = centinel_source::Tls::Required { ca };
        let error = Running::open(&catalog, options.clone()).error().to_string();
        assert!(error.contains("TLS with the server failed"), "{error}");
    }
}
