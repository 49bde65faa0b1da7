//! A Kafka of several brokers, each of which is a controller, too (KRaft).

use std::fmt::Write as _;
use std::thread;

use crate::folder::Folder;
use crate::kafka::{ATTEMPTS, Kafka, common_properties, prepare, quick, server};
use crate::port::Port;
use crate::process::{NotStarted, Server};

/// Several run beside each other.
const HEAP: &str = "192m";

/// Some brokers that hold copies of each other's partitions. Topics are created by tests, never by their use.
pub struct KafkaCluster {
    nodes: Vec<Node>,
}

struct Node {
    // In this order: the process ends before its folder goes and its ports are free.
    server: Server,
    _folder: Folder,
    plain: Port,
    _controller: Port,
}

impl KafkaCluster {
    /// Starts so many brokers, with the ids from 1 on. Three go on when one is away, two do not.
    pub fn start(count: usize) -> KafkaCluster {
        for _ in 0..ATTEMPTS {
            if let Some(cluster) = KafkaCluster::try_start(count) {
                return cluster;
            }
        }
        panic!("Kafka found ports taken {ATTEMPTS} times");
    }

    /// None when a port was taken meanwhile.
    fn try_start(count: usize) -> Option<KafkaCluster> {
        let controllers: Vec<Port> = (0..count).map(|_| Port::free()).collect();
        let voters = controllers.iter().zip(1..);
        let voters: Vec<String> = voters
            .map(|(port, id)| format!("{id}@127.0.0.1:{}", port.number))
            .collect();
        let voters = voters.join(",");
        let nodes = controllers.into_iter().zip(1..).map(|(controller, id)| {
            let (folder, plain) = (Folder::new("kafka"), Port::free());
            let text = properties(&folder, id, &plain, &controller, &voters);
            prepare(&folder, quick(), &text, false);
            Node {
                server: server(&folder, quick(), HEAP),
                _folder: folder,
                plain,
                _controller: controller,
            }
        });
        let mut nodes: Vec<Node> = nodes.collect();
        // None is ready before most of them are there.
        let started: Vec<Result<(), NotStarted>> = thread::scope(|scope| {
            let starting = nodes
                .iter_mut()
                .map(|node| scope.spawn(|| node.server.start()));
            let starting: Vec<_> = starting.collect();
            let ended = starting.into_iter().map(|start| start.join().unwrap());
            ended.collect()
        });
        for start in started {
            match start {
                Ok(()) => {}
                Err(NotStarted::PortTaken) => return None,
                Err(NotStarted::Other(why)) => panic!("{why}"),
            }
        }
        Some(KafkaCluster { nodes })
    }

    /// Where clients begin: all brokers.
    pub fn bootstrap(&self) -> String {
        let nodes = self.nodes.iter();
        let addresses = nodes.map(|node| format!("127.0.0.1:{}", node.plain.number));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Creates a topic of which each partition has so many copies.
    pub fn create_topic(&self, name: &str, partitions: u32, copies: usize) {
        let bootstrap = self.bootstrap();
        let (partitions, copies) = (partitions.to_string(), copies.to_string());
        let arguments = [
            ["--bootstrap-server", &bootstrap],
            ["--topic", name],
            ["--partitions", &partitions],
            ["--replication-factor", &copies],
        ];
        let arguments = [&["--create"][..], arguments.as_flattened()].concat();
        Kafka::tool_alone("org.apache.kafka.tools.TopicCommand", &arguments, "");
    }

    /// Stops a broker as an operator would (SIGTERM): it hands over what it leads, and ends.
    pub fn stop(&mut self, id: usize) {
        self.nodes[id - 1].server.stop();
    }

    /// Kills a broker (SIGKILL).
    pub fn kill(&mut self, id: usize) {
        self.nodes[id - 1].server.kill();
    }

    /// Starts a stopped or killed broker on the same ports and data.
    pub fn start_again(&mut self, id: usize) {
        self.nodes[id - 1].server.start_again();
    }
}

fn properties(folder: &Folder, id: usize, plain: &Port, controller: &Port, voters: &str) -> String {
    let at = |port: &Port| format!("127.0.0.1:{}", port.number);
    let (plain, controller) = (at(plain), at(controller));
    let mut text = common_properties(folder);
    write!(
        text,
        "node.id={id}\n\
         controller.quorum.voters={voters}\n\
         listeners=PLAINTEXT://{plain},CONTROLLER://{controller}\n\
         advertised.listeners=PLAINTEXT://{plain}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         broker.heartbeat.interval.ms=500\n\
         broker.session.timeout.ms=3000\n"
    )
    .expect("a text takes lines");
    text
}
