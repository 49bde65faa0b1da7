//! A shop whose payments are rows of a table, and whose payments that succeed are published.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use test_servers::Kafka;

/// What any wait ends with at the latest.
pub const LONG: Duration = Duration::from_secs(120);
/// What the variable is called that holds the password of whatever is configured.
pub const PASSWORD: &str = "SHOP_PASSWORD";
pub const TOPIC: &str = "payment-completed";

const ENTITIES: &str = "centinel: entities/1\nentities: { order: { key: [order_no] } }\n";
pub const PAYMENT: &str = "centinel: schema/1
table: payment
system: payment
source: payment-db
from: shop.payment
primary_key: [payment_no]
entities: { order: [order_no] }
columns:
  payment_no: integer
  order_no: text
  amount: { type: \"decimal(18,2)\", money: { currency: CNY, unit: major } }
";
const PAYMENT_COMPLETED: &str = "centinel: schema/1
event: payment_completed
system: payment
source: business-events
entities: { order: [order_no] }
columns:
  payment_no: integer
  order_no: text
  amount: { type: integer, money: { currency: CNY, unit: minor } }
json:
  message_id: $.id
  committed_at: message
  columns: { payment_no: $.paymentNo, order_no: $.orderNo, amount: $.fen }
";

/// The folder of its people.
pub struct Shop {
    folder: tempfile::TempDir,
    configuration: String,
}

impl Shop {
    /// With the event's schema, without a source or a rule.
    pub fn new() -> Shop {
        let shop = Shop {
            folder: tempfile::tempdir().unwrap(),
            configuration: "centinel = \"config/1\"\nschemas = \"schemas\"\nrules = \"rules\"\nstate = \"state\"\n\
                            [findings]\nfile = \"findings.jsonl\"\n"
                .into(),
        };
        shop.write("schemas/entities.yaml", ENTITIES);
        shop.write("schemas/payment_completed.yaml", PAYMENT_COMPLETED);
        shop
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A rule about orders, by the SELECT that gives `order_no`, `payment_no` and `amount`.
    pub fn rule(&self, id: &str, settle: &str, select: &str) {
        let text = format!(
            "/* ---\nid: {id}\ntitle: No payment is so\nentity: order\nseverity: error\nkey: [order_no, payment_no]\n\
             amount: amount\ncurrency: CNY\nowner: payment\nsettle: {settle}\nretries: 0\nstatus: stable\n--- */\n\
             {select}\n"
        );
        self.write(&format!("rules/{id}.sql"), &text);
    }

    /// Adds to the configuration file.
    pub fn configure(&mut self, text: &str) {
        self.configuration.push_str(text);
        self.write("centinel.toml", &self.configuration);
    }

    /// The events, from these brokers, with more lines of configuration.
    pub fn read_events(&mut self, brokers: &str, settings: &str) {
        self.configure(&format!(
            "[sources.business-events]\nkind = \"kafka\"\nbrokers = \"{brokers}\"\nprogress = \"broker\"\n{settings}\
             [[sources.business-events.topics]]\ntopic = \"{TOPIC}\"\nformat = \"json-event\"\n\
             event = \"payment_completed\"\n"
        ));
    }

    pub fn centinel(&self, arguments: &[&str], password: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env(PASSWORD, password);
        command
    }

    /// Runs it to its end: exit status, and all that it said.
    pub fn run(&self, arguments: &[&str], password: &str) -> (i32, String) {
        let done = self.centinel(arguments, password).output().unwrap();
        let said = [done.stdout, done.stderr].concat();
        (
            done.status.code().unwrap(),
            String::from_utf8(said).unwrap(),
        )
    }

    /// Everything that was found, a line each.
    pub fn findings(&self) -> String {
        std::fs::read_to_string(self.path("findings.jsonl")).unwrap_or_default()
    }
}

/// The program while it runs; killed when dropped.
pub struct Running(Child);

impl Running {
    pub fn start(mut command: Command) -> Running {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().unwrap())
    }

    /// Waits until something has come, while it runs.
    #[track_caller]
    pub fn wait(&mut self, what: &str, come: impl Fn() -> bool) {
        let began = Instant::now();
        while !come() {
            let ended = self.0.try_wait().unwrap();
            assert!(
                ended.is_none() && began.elapsed() < LONG,
                "{what} never came: {ended:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its exit status.
    #[track_caller]
    pub fn wait_for_end(mut self) -> i32 {
        let began = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code().unwrap();
            }
            assert!(began.elapsed() < LONG, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Publishes payments that succeeded, each by its number and its amount in fen.
pub fn publish(kafka: &Kafka, payments: &[(u32, u32)]) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .create()
        .unwrap();
    for (number, fen) in payments {
        let message = format!(
            r#"{{"id":"m-{number}","paymentNo":{number},"orderNo":"E{number}","fen":{fen}}}"#
        );
        let record: BaseRecord<'_, (), str> = BaseRecord::to(TOPIC).payload(&message);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(LONG).unwrap();
}
