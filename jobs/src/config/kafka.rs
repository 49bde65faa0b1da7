//! `kind = "kafka"`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use centinel_model::Duration;
use toml::de::DeValue;

use super::archive::is_http;
use super::binlog::is_host;
use super::form::{Fields, Form, Node, Placed};
use super::problem::shorten;
use super::{
    AvroConfig, DebeziumConfig, Decimals, FormatConfig, KafkaConfig, KafkaProgress, Setting,
    SettingValue, Start, TimeUnit, TopicConfig, TopicName,
};

const FIELDS: [&str; 8] = [
    "kind",
    "brokers",
    "group",
    "progress",
    "broker_delay",
    "start",
    "settings",
    "topics",
];
const GROUP: &str = "centinel";
const DELAY: Duration = Duration::seconds(2);
const DELAYS: RangeInclusive<Duration> = Duration::ZERO..=Duration::seconds(3_600);
const MAX_TOPICS: usize = 1_000;
const MAX_SERVERS: usize = 64;

/// Settings that Centinel sets itself, and what to write instead.
const OWN: [(&str, &str); 24] = [
    ("bootstrap.servers", "write it as `brokers` of the source"),
    (
        "metadata.broker.list",
        "write it as `brokers` of the source",
    ),
    ("group.id", "write it as `group` of the source"),
    ("auto.offset.reset", "write it as `start` of the source"),
    ("group.instance.id", GROUPLESS),
    ("group.protocol", GROUPLESS),
    ("partition.assignment.strategy", GROUPLESS),
    ("enable.auto.commit", OFFSETS),
    ("auto.commit.enable", OFFSETS),
    ("auto.commit.interval.ms", OFFSETS),
    ("enable.auto.offset.store", OFFSETS),
    (
        "isolation.level",
        "remove it: only committed records are read",
    ),
    (
        "enable.partition.eof",
        "remove it: ends of partitions are always told",
    ),
    ("check.crcs", "remove it: records are always checked"),
    ("client.id", TUNED),
    ("queued.min.messages", TUNED),
    ("queued.max.messages.kbytes", TUNED),
    ("fetch.wait.max.ms", TUNED),
    ("fetch.error.backoff.ms", TUNED),
    ("reconnect.backoff.max.ms", TUNED),
    ("topic.metadata.refresh.interval.ms", TUNED),
    // Known from Java, where they carry what other settings carry here.
    (
        "sasl.jaas.config",
        "write `sasl.username` and `sasl.password`",
    ),
    (
        "ssl.truststore.location",
        "write `ssl.ca.location`, a PEM file",
    ),
    (
        "ssl.truststore.password",
        "write `ssl.ca.location`, a PEM file",
    ),
];
const GROUPLESS: &str = "remove it: partitions are assigned, without a group's coordinator";
const OFFSETS: &str = "remove it: offsets are kept in the state, with the rows they belong to";
const TUNED: &str = "remove it: Centinel sets it";

/// Settings whose value is a secret.
const SECRET: [&str; 8] = [
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
];

pub(super) fn read(form: &mut Form, mut fields: Fields) -> Option<KafkaConfig> {
    form.only(&mut fields, &FIELDS);
    let what = fields.what.clone();
    let of = |name: &str| format!("`{name}` of {what}");
    let brokers = form.require(&mut fields, "brokers", "\"127.0.0.1:9092\"");
    let brokers = brokers.and_then(|node| {
        let wanted = "a list of brokers";
        let remedy = "write host:port, several with commas: \"kafka-1:9092,kafka-2:9092\"";
        form.fitting(&of("brokers"), node, are_brokers, wanted, remedy)
    });
    let group = fields
        .take("group")
        .and_then(|node| form.text(&of("group"), node));
    let start = fields.take("start");
    let start = start.and_then(|node| {
        let choices = [("earliest", Start::Earliest), ("latest", Start::Latest)];
        form.choice(&of("start"), node, &choices)
    });
    let settings = fields.take("settings");
    let settings = settings.map(|node| settings_of(form, &what, node));
    let progress_at = fields.place_of("progress");
    let progress = progress_of(form, &mut fields);
    let topics = form.require(&mut fields, "topics", "[{ topic = \"…\", format = \"…\" }]");
    let topics = topics.and_then(|node| topics_of(form, &what, node));
    if let (Some(KafkaProgress::Broker { .. }), Some(topics)) = (&progress, &topics)
        && let Some(relayed) = topics.iter().find(|topic| is_relayed(&topic.format))
    {
        let problem = format!(
            "{}: the topic on line {} is written by a tool, and that a topic was read to its end says nothing of \
             what the tool has not delivered yet",
            of("progress"),
            relayed.line
        );
        let remedy = "write `progress = { heartbeat = \"…\" }` with a table that the platform writes at an interval";
        form.refuse(progress_at.unwrap_or(fields.at), problem, remedy);
    }
    let brokers = brokers.map(|brokers| {
        let each: Vec<&str> = brokers.value.split(',').map(str::trim).collect();
        each.join(",")
    });
    Some(KafkaConfig {
        brokers: brokers?,
        group: group.map_or_else(|| GROUP.to_owned(), |group| group.value),
        progress: progress?,
        start: start.unwrap_or(Start::Earliest),
        settings: settings.unwrap_or_default(),
        topics: topics?,
    })
}

fn progress_of(form: &mut Form, fields: &mut Fields) -> Option<KafkaProgress> {
    let what = fields.what.clone();
    let whole = format!("`progress` of {what}");
    let delay = fields.take_entry("broker_delay");
    let Some(node) = fields.take("progress") else {
        let remedy = "add `progress = \"broker\"` where producers write the topics themselves, else \
                      `progress = { heartbeat = \"…\" }` with a table or event that the platform writes at an interval";
        form.refuse(fields.at, format!("{what} has no `progress`"), remedy);
        return None;
    };
    if node.get_ref().is_str() {
        form.choice(&whole, node, &[("broker", ())])?;
        let delay = delay
            .and_then(|(_, node)| form.span(&format!("`broker_delay` of {what}"), node, DELAYS));
        let delay = delay.unwrap_or(DELAY);
        return Some(KafkaProgress::Broker { delay });
    }
    if let Some((key, _)) = delay {
        let problem = format!("`broker_delay` of {what} has no use beside a heartbeat");
        form.refuse(key.span().start, problem, "remove it");
    }
    let mut inner = form.table(&whole, node, "\"broker\", or { heartbeat = \"…\" }")?;
    form.only(&mut inner, &["heartbeat"]);
    let table = form.require(&mut inner, "heartbeat", "\"centinel_heartbeat\"")?;
    let table = name(form, &format!("`heartbeat` of {what}"), table)?;
    Some(KafkaProgress::Heartbeat { table })
}

/// The name of a table or event of the schemas.
fn name(form: &mut Form, what: &str, node: Node) -> Option<String> {
    let right = |text: &str| {
        let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        text.len() <= 64 && text.bytes().all(fits) && !text.as_bytes()[0].is_ascii_digit()
    };
    let wanted = "a name of the schemas";
    let remedy = "write the name of a table or event of the schemas: small letters, digits and `_`";
    Some(form.fitting(what, node, right, wanted, remedy)?.value)
}

/// Whether a tool stands between the database and the topic.
fn is_relayed(format: &FormatConfig) -> bool {
    match format {
        FormatConfig::JsonEvent { .. } | FormatConfig::Lines => false,
        FormatConfig::Debezium(_)
        | FormatConfig::DebeziumFlat(_)
        | FormatConfig::DebeziumAvro(_)
        | FormatConfig::Canal
        | FormatConfig::Maxwell => true,
    }
}

fn settings_of(form: &mut Form, what: &str, node: Node) -> Vec<Setting> {
    let whole = format!("`settings` of {what}");
    let example = "a table such as { \"security.protocol\" = \"SSL\" }";
    let Some(fields) = form.table(&whole, node, example) else {
        return Vec::new();
    };
    let entries = fields.into_entries().into_iter();
    let read = entries.filter_map(|(key, node)| {
        let at = key.span().start;
        let name = key.into_inner().into_owned();
        let setting = format!("setting `{}` of {what}", shorten(&name));
        if let Some((_, remedy)) = OWN.iter().find(|(own, _)| *own == name) {
            form.refuse(at, format!("{setting} is not for you to set"), *remedy);
            return None;
        }
        // Without quotes, TOML makes tables of a name's parts.
        if let DeValue::Table(table) = node.get_ref()
            && let Some(first) = table.keys().next().map(|key| key.get_ref())
            && !["env", "file"].contains(&first.as_ref())
        {
            let remedy = format!(
                "write the whole name in quotes: \"{}.{}\" = …",
                shorten(&name),
                shorten(first)
            );
            form.refuse(at, format!("{setting} is a table"), remedy);
            return None;
        }
        let value = setting_value(form, &name, &setting, node)?;
        Some(Setting { name, value })
    });
    read.collect()
}

fn setting_value(form: &mut Form, name: &str, what: &str, node: Node) -> Option<SettingValue> {
    let telling = ["password", "passphrase", "secret"];
    let secret = SECRET.contains(&name) || telling.iter().any(|word| name.contains(word));
    if secret || node.get_ref().is_table() {
        return form.secret(what, node).map(SettingValue::Secret);
    }
    let plain = match node.get_ref() {
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        _ => form.text(what, node)?.value,
    };
    Some(SettingValue::Plain(plain))
}

fn topics_of(form: &mut Form, what: &str, node: Node) -> Option<Vec<TopicConfig>> {
    let at = node.span().start;
    let example = "[[sources.<name>.topics]] for each topic";
    let items = form.list(&format!("`topics` of {what}"), node, example)?;
    if items.is_empty() || items.len() > MAX_TOPICS {
        let problem = format!("{} topics in {what}", items.len());
        form.refuse(
            at,
            problem,
            format!("name 1 to {MAX_TOPICS}; a `pattern` names many"),
        );
        return None;
    }
    let count = items.len();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut topics = Vec::with_capacity(count);
    for item in items {
        let line = form.line(item.span().start);
        let Some(topic) = topic(form, what, item) else {
            continue;
        };
        let (TopicName::Exact(name) | TopicName::Pattern(name)) = &topic.name;
        match names.get(name) {
            Some(first) => {
                let problem = format!("{what} names `{}` twice", shorten(name));
                let remedy = format!("keep one of them; the first is on line {first}");
                form.refuse_line(line, problem, &remedy);
            }
            None => {
                names.insert(name.clone(), line);
            }
        }
        topics.push(topic);
    }
    (topics.len() == count).then_some(topics)
}

#[derive(Clone, Copy)]
enum Kind {
    JsonEvent,
    Lines,
    Debezium,
    DebeziumFlat,
    DebeziumAvro,
    Canal,
    Maxwell,
}

fn topic(form: &mut Form, source: &str, node: Node) -> Option<TopicConfig> {
    const FORMATS: [(&str, Kind); 7] = [
        ("json-event", Kind::JsonEvent),
        ("lines", Kind::Lines),
        ("debezium", Kind::Debezium),
        ("debezium-flat", Kind::DebeziumFlat),
        ("debezium-avro", Kind::DebeziumAvro),
        ("canal", Kind::Canal),
        ("maxwell", Kind::Maxwell),
    ];
    let line = form.line(node.span().start);
    let what = format!("a topic of {source}");
    let mut fields = form.table(&what, node, "{ topic = \"…\", format = \"…\" }")?;
    let name = topic_name(form, &mut fields);
    let format = form.require(&mut fields, "format", "\"json-event\"");
    let format =
        format.and_then(|node| form.choice(&format!("`format` of {what}"), node, &FORMATS));
    let format = format.and_then(|format| format_of(form, fields, format));
    Some(TopicConfig {
        line,
        name: name?,
        format: format?,
    })
}

fn topic_name(form: &mut Form, fields: &mut Fields) -> Option<TopicName> {
    let what = fields.what.clone();
    match (fields.take("topic"), fields.take("pattern")) {
        (Some(name), None) => {
            let right = |name: &str| {
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
                name.len() <= 249 && name.bytes().all(fits) && ![".", ".."].contains(&name)
            };
            let wanted = "the name of a topic";
            let remedy =
                "names have letters, digits, `.`, `_` and `-`; for many topics write `pattern`";
            let name = form.fitting(&format!("`topic` of {what}"), name, right, wanted, remedy)?;
            Some(TopicName::Exact(name.value))
        }
        (None, Some(pattern)) => {
            let right =
                |text: &str| text.len() <= 1_000 && text.starts_with('^') && text.ends_with('$');
            let wanted = "a pattern for whole names";
            let remedy = "let it begin with ^ and end with $, such as \"^shop[.]payment_.*$\"";
            let what = format!("`pattern` of {what}");
            let pattern = form.fitting(&what, pattern, right, wanted, remedy)?;
            Some(TopicName::Pattern(pattern.value))
        }
        (Some(_), Some(_)) => {
            form.refuse(
                fields.at,
                format!("{what} has both `topic` and `pattern`"),
                "keep one of them",
            );
            None
        }
        (None, None) => {
            let remedy = "add `topic = \"…\"`, or `pattern = \"^…$\"` for many";
            form.refuse(
                fields.at,
                format!("{what} has neither `topic` nor `pattern`"),
                remedy,
            );
            None
        }
    }
}

fn format_of(form: &mut Form, mut fields: Fields, format: Kind) -> Option<FormatConfig> {
    let what = fields.what.clone();
    match format {
        Kind::JsonEvent => {
            form.only(&mut fields, &["topic", "pattern", "format", "event"]);
            let event = form.require(&mut fields, "event", "\"payment_completed\"")?;
            let event = name(form, &format!("`event` of {what}"), event)?;
            Some(FormatConfig::JsonEvent { event })
        }
        Kind::Lines | Kind::Canal | Kind::Maxwell => {
            form.only(&mut fields, &["topic", "pattern", "format"]);
            Some(match format {
                Kind::Lines => FormatConfig::Lines,
                Kind::Canal => FormatConfig::Canal,
                _ => FormatConfig::Maxwell,
            })
        }
        Kind::Debezium => debezium(form, fields).map(FormatConfig::Debezium),
        Kind::DebeziumFlat => debezium(form, fields).map(FormatConfig::DebeziumFlat),
        Kind::DebeziumAvro => avro(form, fields).map(FormatConfig::DebeziumAvro),
    }
}

fn debezium(form: &mut Form, mut fields: Fields) -> Option<DebeziumConfig> {
    const DECIMALS: [(&str, Decimals); 3] = [
        ("precise", Decimals::Precise),
        ("string", Decimals::String),
        ("numeric", Decimals::Numeric),
    ];
    const TIMES: [(&str, TimeUnit); 2] =
        [("millis", TimeUnit::Millis), ("micros", TimeUnit::Micros)];
    let known = ["topic", "pattern", "format", "decimals", "times", "servers"];
    form.only(&mut fields, &known);
    let what = fields.what.clone();
    let decimals = fields.take("decimals").and_then(|node| {
        let whole = format!("`decimals` of {what}");
        if node.get_ref().as_str() == Some("double") {
            let problem = format!("{whole}: a float cannot hold money");
            let remedy =
                "set decimal.handling.mode=string in the connector, and write \"string\" here";
            form.refuse(node.span().start, problem, remedy);
            return None;
        }
        form.choice(&whole, node, &DECIMALS)
    });
    let times = fields.take("times");
    Some(DebeziumConfig {
        decimals: decimals.unwrap_or(Decimals::Precise),
        times: times.and_then(|node| form.choice(&format!("`times` of {what}"), node, &TIMES)),
        servers: servers(form, &mut fields),
    })
}

fn avro(form: &mut Form, mut fields: Fields) -> Option<AvroConfig> {
    let known = [
        "topic",
        "pattern",
        "format",
        "registry",
        "registry_user",
        "registry_password",
        "registry_ca",
        "servers",
    ];
    form.only(&mut fields, &known);
    let what = fields.what.clone();
    let servers = servers(form, &mut fields);
    let user = fields.take("registry_user");
    let user = user.and_then(|node| form.text(&format!("`registry_user` of {what}"), node));
    let password = fields.take("registry_password");
    let password =
        password.and_then(|node| form.secret(&format!("`registry_password` of {what}"), node));
    let registry = form.require(&mut fields, "registry", "\"https://registry:8081\"");
    let registry: Option<Placed<String>> = registry.and_then(|node| {
        let remedy = "write \"https://host:port\", without account and password";
        let whole = format!("`registry` of {what}");
        form.fitting(
            &whole,
            node,
            is_http,
            "the address of a schema registry",
            remedy,
        )
    });
    let plain = registry
        .as_ref()
        .is_some_and(|registry| registry.value.starts_with("http://"));
    let ca = fields.take_entry("registry_ca").and_then(|(key, node)| {
        let whole = format!("`registry_ca` of {what}");
        if plain {
            let problem = format!("{whole} has no use: the connection is not encrypted");
            let remedy = "write `registry` with https://, or remove `registry_ca`";
            form.refuse(key.span().start, problem, remedy);
        }
        form.path(&whole, node)
    });
    if user.is_some() != password.is_some() {
        let problem = format!("{what} has only one of `registry_user` and `registry_password`");
        form.refuse(fields.at, problem, "add the other, or remove it");
    }
    Some(AvroConfig {
        registry: registry?.value,
        account: user.map(|user| user.value).zip(password),
        ca,
        servers,
    })
}

fn servers(form: &mut Form, fields: &mut Fields) -> Vec<u32> {
    let what = format!("`servers` of {}", fields.what);
    let Some(node) = fields.take("servers") else {
        return Vec::new();
    };
    let at = node.span().start;
    let items = form.list(&what, node, "[223344]").unwrap_or_default();
    let mut servers: Vec<u32> = Vec::new();
    for item in items.into_iter().take(MAX_SERVERS + 1) {
        let at = item.span().start;
        let number = form.number(&what, item, 1..=u64::from(u32::MAX));
        let Some(number) = number.and_then(|number| u32::try_from(number).ok()) else {
            continue;
        };
        if servers.contains(&number) {
            form.refuse(
                at,
                format!("{what}: {number} stands twice"),
                "keep one of them",
            );
        }
        servers.push(number);
    }
    if servers.len() > MAX_SERVERS {
        form.refuse(
            at,
            format!("{what} are too many"),
            format!("name at most {MAX_SERVERS}"),
        );
    }
    servers
}

/// Whether these are brokers as `host:port`, with commas between them.
fn are_brokers(text: &str) -> bool {
    text.split(',').all(|broker| {
        let Some((host, port)) = broker.trim().rsplit_once(':') else {
            return false;
        };
        let host = match host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
        {
            Some(host) => host,
            None if host.contains(':') => return false,
            None => host,
        };
        is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}
