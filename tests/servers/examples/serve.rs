//! Runs a MariaDB and a Kafka for trying things by hand, until interrupted; at most an hour.

use std::time::Duration;

use test_servers::{Kafka, MariaDb};

fn main() {
    let database = MariaDb::start(&[]);
    println!(
        "MariaDB: 127.0.0.1:{}, administrator {} with password {}",
        database.port(),
        database.admin_user(),
        database.admin_password()
    );
    let kafka = Kafka::start();
    println!("Kafka: {}", kafka.bootstrap());
    std::thread::sleep(Duration::from_secs(3_600));
}
