//! A real Apache Kafka: broker and controller in one process (KRaft).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::certificates::{self, Certificates};
use crate::class_archive;
use crate::folder::Folder;
use crate::installed;
use crate::port::Port;
use crate::process::{NotStarted, Server, remove, run};
use crate::proxy::Proxy;

pub(crate) const ATTEMPTS: usize = 5;
const CLUSTER_ID: &str = "Y2VudGluZWwtdGVzdHMtMQ";
const POM: &str = include_str!("../kafka/pom.xml");
const LOG_SETTINGS: &str = include_str!("../kafka/log4j2.xml");
/// Short lives: the quick compiler alone, one garbage collector thread.
const JVM: [&str; 3] = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
];

/// The account of a secured broker.
const USER: &str = "centinel";
const PASSWORD: &str = "centinel-of-tests";

/// A Kafka of its own with one broker. Topics are created by tests, never by their use.
pub struct Kafka {
    // In this order: the process ends before its folder goes and its ports are free.
    server: Server,
    folder: Folder,
    ports: Ports,
    secured: Option<Secured>,
}

/// A listener of a broker that speaks TLS only, and only to an account (SASL_SSL: PLAIN and SCRAM-SHA-512).
pub struct Secured {
    port: Port,
    certificates: Certificates,
    foreign: PathBuf,
}

impl Secured {
    /// Where clients begin: `127.0.0.1:port`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port.number)
    }

    /// PEM file of the authority that signed the broker's certificate.
    pub fn authority(&self) -> &Path {
        &self.certificates.authority
    }

    /// PEM file of an authority that did not.
    pub fn foreign_authority(&self) -> &Path {
        &self.foreign
    }

    /// The account's name.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// The account's password.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    fn new(folder: &Folder) -> Secured {
        Secured {
            port: Port::free(),
            certificates: certificates::make(folder, "own"),
            foreign: certificates::make(folder, "foreign").authority,
        }
    }

    fn properties(&self) -> String {
        let module = "org.apache.kafka.common.security";
        format!(
            "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512\n\
             listener.name.secured.ssl.keystore.type=PKCS12\n\
             listener.name.secured.ssl.keystore.location={}\n\
             listener.name.secured.ssl.keystore.password={}\n\
             listener.name.secured.plain.sasl.jaas.config={module}.plain.PlainLoginModule required \
             user_{USER}=\"{PASSWORD}\";\n\
             listener.name.secured.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;\n",
            self.certificates.server.display(),
            certificates::STORE_PASSWORD,
        )
    }
}

struct Ports {
    plain: Port,
    controller: Port,
    /// Clients of this listener are sent to `advertised`, where `Kafka::proxy` listens.
    proxied: Port,
    advertised: Port,
}

impl Kafka {
    /// Starts a broker.
    pub fn start() -> Kafka {
        Kafka::start_with(&[])
    }

    /// Starts a broker with further properties, which win over those here (`("message.max.bytes", "1000")`).
    pub fn start_with(settings: &[(&str, &str)]) -> Kafka {
        Kafka::start_by(quick(), quick(), settings, false)
    }

    /// Starts a broker with another listener, which is [secured](Kafka::secured).
    pub fn start_secured() -> Kafka {
        Kafka::start_by(quick(), quick(), &[], true)
    }

    fn start_by(
        format: &[String],
        broker: &[String],
        settings: &[(&str, &str)],
        secured: bool,
    ) -> Kafka {
        let folder = Folder::new("kafka");
        let mut secured = secured.then(|| Secured::new(&folder));
        for _ in 0..ATTEMPTS {
            let [plain, controller, proxied, advertised] = std::array::from_fn(|_| Port::free());
            let ports = Ports {
                plain,
                controller,
                proxied,
                advertised,
            };
            let text = properties(&folder, &ports, secured.as_ref(), settings);
            prepare(&folder, format, &text, secured.is_some());
            let mut server = server(&folder, broker, "512m");
            match server.start() {
                Ok(()) => {
                    return Kafka {
                        server,
                        folder,
                        ports,
                        secured,
                    };
                }
                Err(NotStarted::PortTaken) => {
                    if let Some(secured) = &mut secured {
                        secured.port = Port::free();
                    }
                }
                Err(NotStarted::Other(why)) => panic!("{why}"),
            }
        }
        panic!("Kafka found ports taken {ATTEMPTS} times");
    }

    /// Where clients begin: `127.0.0.1:port`, the same after `start_again`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.ports.plain.number)
    }

    /// The secured listener of a broker that was [started](Kafka::start_secured) with one.
    pub fn secured(&self) -> &Secured {
        let secured = self.secured.as_ref();
        secured.expect("Kafka::start_secured starts a broker with a secured listener")
    }

    /// A proxy before the broker. Clients that begin at `proxy.address()` stay behind it: the broker's
    /// metadata sends them there too. One at a time.
    pub fn proxy(&self) -> Proxy {
        Proxy::between(self.ports.advertised.number, self.ports.proxied.number)
    }

    /// Creates a topic with settings such as `("cleanup.policy", "compact")`.
    pub fn create_topic(&self, name: &str, partitions: u32, settings: &[(&str, &str)]) {
        let partitions = partitions.to_string();
        let mut arguments = vec!["--create", "--topic", name, "--partitions", &partitions];
        let settings: Vec<_> = settings
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        for setting in &settings {
            arguments.extend(["--config", setting]);
        }
        self.tool("org.apache.kafka.tools.TopicCommand", &arguments, "");
    }

    /// Lets a topic have so many partitions, more than before.
    pub fn add_partitions(&self, name: &str, partitions: u32) {
        let partitions = partitions.to_string();
        let arguments = ["--alter", "--topic", name, "--partitions", &partitions];
        self.tool("org.apache.kafka.tools.TopicCommand", &arguments, "");
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, name: &str) {
        let arguments = ["--delete", "--topic", name];
        self.tool("org.apache.kafka.tools.TopicCommand", &arguments, "");
    }

    /// Deletes a partition's records before an offset, as retention would.
    pub fn delete_records(&self, topic: &str, partition: u32, before_offset: u64) {
        let request = format!(
            r#"{{"version":1,"partitions":[{{"topic":"{topic}","partition":{partition},"offset":{before_offset}}}]}}"#
        );
        let file = self
            .folder
            .write("delete-records.json", &request)
            .display()
            .to_string();
        let class = "org.apache.kafka.tools.DeleteRecordsCommand";
        let said = self.tool(class, &["--offset-json-file", &file], "");
        assert!(
            !said.contains("error"),
            "records of {topic} were not deleted: {said}"
        );
    }

    /// Runs one of Kafka's command-line tools on this broker and gives what it printed; panics when it fails.
    pub fn tool(&self, class: &str, arguments: &[&str], input: &str) -> String {
        let bootstrap = self.bootstrap();
        let mut all = vec!["--bootstrap-server", bootstrap.as_str()];
        all.extend(arguments);
        Kafka::tool_alone(class, &all, input)
    }

    /// Runs a tool that is told in its arguments where to connect to, if anywhere.
    pub fn tool_alone(class: &str, arguments: &[&str], input: &str) -> String {
        tool(quick(), class, arguments, input)
    }

    /// The command line, for a shell, of one of Kafka's tools, as its own scripts have it.
    pub fn command_line(class: &str) -> String {
        let java = installed::program("java");
        let options = JVM.iter().map(|option| (*option).to_owned());
        let options: Vec<String> = options.chain(quick().iter().cloned()).collect();
        format!(
            "'{}' {} -Xmx256m -cp '{}' {class}",
            java.display(),
            options.join(" "),
            jars()
        )
    }

    /// What the broker has printed since it was first started.
    pub fn log(&self) -> String {
        self.server.log_from(0)
    }

    /// Stops the broker as an operator would (SIGTERM) and waits for its end.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Kills the broker (SIGKILL).
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts the stopped or killed broker on the same ports and data.
    pub fn start_again(&mut self) {
        self.server.start_again();
    }

    /// Whether the process is there.
    pub fn is_running(&mut self) -> bool {
        self.server.is_running()
    }
}

fn jars() -> String {
    installed::jars("kafka", POM)
}

/// The options with which JVMs start quickest.
pub(crate) fn quick() -> &'static [String] {
    class_archive::options(installed::version(POM), |options| {
        Kafka::start_by(&[], options, &[], false).stop();
    })
}

pub(crate) fn tool(options: &[String], class: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(installed::program("java"));
    command
        .args(JVM)
        .args(options)
        .args(["-Xmx256m", "-cp", &jars(), class])
        .args(arguments);
    run(class, &mut command, input)
}

/// Writes a broker's settings, and its storage anew: a start on a taken port leaves some there.
pub(crate) fn prepare(folder: &Folder, format: &[String], properties: &str, accounts: bool) {
    folder.write("server.properties", properties);
    folder.write("log4j2.xml", LOG_SETTINGS);
    remove(&folder.join("data"));
    let properties = folder.join("server.properties").display().to_string();
    let mut arguments = vec!["format", "--cluster-id", CLUSTER_ID, "--config"];
    arguments.push(&properties);
    let account = format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]");
    if accounts {
        arguments.extend(["--add-scram", &account]);
    }
    tool(format, "kafka.tools.StorageTool", &arguments, "");
}

/// A broker of that folder with a heap of at most so much.
pub(crate) fn server(folder: &Folder, options: &[String], heap: &str) -> Server {
    let mut arguments: Vec<String> = JVM.map(str::to_owned).into();
    arguments.extend_from_slice(options);
    arguments.extend(["-Xms128m".to_owned(), format!("-Xmx{heap}")]);
    let log = folder.join("log4j2.xml");
    arguments.push(format!("-Dlog4j2.configurationFile={}", log.display()));
    let properties = folder.join("server.properties").display().to_string();
    arguments.extend([
        "-cp".to_owned(),
        jars(),
        "kafka.Kafka".to_owned(),
        properties,
    ]);
    Server {
        name: "Kafka",
        program: installed::program("java"),
        arguments,
        log: folder.join("log"),
        ready: "Kafka Server started",
        child: None,
    }
}

/// What brokers of tests have in common.
pub(crate) fn common_properties(folder: &Folder) -> String {
    format!(
        "process.roles=broker,controller\n\
         controller.listener.names=CONTROLLER\n\
         inter.broker.listener.name=PLAINTEXT\n\
         log.dirs={}\n\
         auto.create.topics.enable=false\n\
         offsets.topic.num.partitions=1\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.num.partitions=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.num.partitions=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n\
         log.cleaner.dedupe.buffer.size=4194304\n\
         log.cleaner.threads=1\n\
         log.cleaner.backoff.ms=500\n\
         log.initial.task.delay.ms=1000\n\
         log.retention.check.interval.ms=1000\n",
        folder.join("data").display()
    )
}

fn properties(
    folder: &Folder,
    ports: &Ports,
    secured: Option<&Secured>,
    settings: &[(&str, &str)],
) -> String {
    let at = |port: &Port| format!("127.0.0.1:{}", port.number);
    let (plain, controller) = (at(&ports.plain), at(&ports.controller));
    let (proxied, advertised) = (at(&ports.proxied), at(&ports.advertised));
    let listener = secured.map(|secured| format!(",SECURED://{}", secured.bootstrap()));
    let listener = listener.unwrap_or_default();
    let mut text = common_properties(folder);
    write!(
        text,
        "node.id=1\n\
         controller.quorum.voters=1@{controller}\n\
         listeners=PLAINTEXT://{plain},PROXIED://{proxied},CONTROLLER://{controller}{listener}\n\
         advertised.listeners=PLAINTEXT://{plain},PROXIED://{advertised}{listener}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL\n\
         controlled.shutdown.enable=false\n",
    )
    .expect("a text takes lines");
    text.extend(secured.map(Secured::properties));
    for (key, value) in settings {
        writeln!(text, "{key}={value}").expect("a text takes lines");
    }
    text
}
