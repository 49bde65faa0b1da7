//! Events of MySQL's log for the table of payments.

use std::collections::BTreeMap;

/// A server by the byte that fills its UUID, and a number.
pub type Gtid = (u8, u64);

/// What one transaction did.
#[derive(Clone)]
pub struct Transaction {
    pub gtid: Gtid,
    pub changes: Vec<Change>,
    pub form: Form,
}

/// A row: payment, order, amount in hundredths.
pub type Payment = (&'static str, &'static str, i64);

#[derive(Clone)]
pub enum Change {
    Insert(Payment),
    Update(Payment, Payment),
    Delete(Payment),
    Statement(&'static str),
}

/// How a transaction stands in the log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Plain,
    Compressed,
    /// Compressed, and then damaged on the server's disk.
    BadZstd,
    /// A statement of its own.
    Alone,
}

pub fn insert(gtid: Gtid, payment: Payment) -> Transaction {
    Transaction {
        gtid,
        changes: vec![Change::Insert(payment)],
        form: Form::Plain,
    }
}

/// `uuid:1-2:4,uuid:1`.
pub fn set_of<'a>(gtids: impl Iterator<Item = &'a Gtid>) -> String {
    let mut servers: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
    for (server, number) in gtids {
        servers.entry(*server).or_default().push(*number);
    }
    let parts = servers.into_iter().map(|(server, mut numbers)| {
        numbers.sort_unstable();
        let mut text = uuid(server);
        let mut rest = numbers.as_slice();
        while let Some(first) = rest.first() {
            let count = (1..rest.len()).take_while(|index| rest[*index] == first + *index as u64);
            let count = count.count() + 1;
            text += &match count {
                1 => format!(":{first}"),
                _ => format!(":{first}-{}", first + count as u64 - 1),
            };
            rest = &rest[count..];
        }
        text
    });
    parts.collect::<Vec<_>>().join(",")
}

pub fn uuid(server: u8) -> String {
    let digits = format!("{server:02x}").repeat(16);
    let ranges = [0..8, 8..12, 12..16, 16..20, 20..32];
    ranges.map(|range| &digits[range]).join("-")
}

/// The GTIDs that a request says it has.
pub fn asked(request: &[u8]) -> Vec<Gtid> {
    let number = |at: usize| u64::from_le_bytes(request[at..at + 8].try_into().unwrap());
    // Flags, server id, length of a file name, the name, the position, the length of what follows.
    let name = u32::from_le_bytes(request[6..10].try_into().unwrap()) as usize;
    let mut at = 10 + name + 8 + 4;
    let (servers, mut gtids) = (number(at), Vec::new());
    at += 8;
    for _ in 0..servers {
        let (server, intervals) = (request[at], number(at + 16));
        at += 24;
        for _ in 0..intervals {
            gtids.extend((number(at)..number(at + 8)).map(|number| (server, number)));
            at += 16;
        }
    }
    gtids
}

/// A log as it is written.
#[derive(Default)]
pub struct Log {
    position: u32,
}

impl Log {
    fn event(&mut self, kind: u8, body: &[u8], checksum: bool) -> Vec<u8> {
        let size = 19 + body.len() as u32 + if checksum { 4 } else { 0 };
        self.position += size;
        let mut event = ((super::now() / 1_000_000) as u32).to_le_bytes().to_vec();
        event.push(kind);
        event.extend(1u32.to_le_bytes());
        event.extend(size.to_le_bytes());
        event.extend(self.position.to_le_bytes());
        event.extend([0, 0]);
        event.extend(body);
        if checksum {
            let mut crc = flate2::Crc::new();
            crc.update(&event);
            event.extend(crc.sum().to_le_bytes());
        }
        event
    }

    /// The name of the file, its format, and what stood in files before it.
    pub fn beginning(&mut self) -> Vec<Vec<u8>> {
        let rotate = [&4u64.to_le_bytes()[..], b"binlog.000001"].concat();
        let rotate = self.event(4, &rotate, false);
        self.position = 4;
        let mut format = 4u16.to_le_bytes().to_vec();
        let mut version = b"8.4.3".to_vec();
        version.resize(50, 0);
        format.extend(version);
        format.extend([0, 0, 0, 0, 19]);
        // How long the fixed parts of the types of events are.
        let mut lengths = [0u8; 41];
        lengths[1] = 13;
        lengths[3] = 8;
        lengths[18] = 8;
        lengths[29..32].fill(10);
        format.extend(lengths);
        // Checksums by CRC32.
        format.push(1);
        let format = self.event(15, &format, true);
        let previous = self.event(35, &[0; 8], true);
        vec![rotate, format, previous]
    }

    /// A sign of life: it stands where the log ends.
    pub fn heartbeat(&mut self) -> Vec<u8> {
        self.position -= 19 + 13 + 4;
        self.event(27, b"binlog.000001", true)
    }

    pub fn events(&mut self, transaction: &Transaction) -> Vec<Vec<u8>> {
        let (server, number) = transaction.gtid;
        let mut gtid = vec![0];
        gtid.extend([server; 16]);
        gtid.extend(number.to_le_bytes());
        gtid.push(2);
        gtid.extend([0; 16]);
        gtid.extend(&(super::now() as u64).to_le_bytes()[..7]);
        let mut events = vec![self.event(33, &gtid, true)];
        let compressed = matches!(transaction.form, Form::Compressed | Form::BadZstd);
        let mut inner = Vec::new();
        let mut add = |log: &mut Log, kind: u8, body: &[u8]| match compressed {
            true => {
                let before = log.position;
                inner.extend(log.event(kind, body, false));
                log.position = before;
            }
            false => events.push(log.event(kind, body, true)),
        };
        if transaction.form != Form::Alone {
            add(self, 2, &query("BEGIN"));
        }
        for change in &transaction.changes {
            let (kind, images) = match change {
                Change::Statement(text) => {
                    add(self, 2, &query(text));
                    continue;
                }
                Change::Insert(row) => (30, vec![row]),
                Change::Update(before, after) => (31, vec![before, after]),
                Change::Delete(row) => (32, vec![row]),
            };
            add(self, 19, &table_map());
            // Table 90, the end of a statement, no extra data, five columns, all of them there.
            let mut rows = vec![90, 0, 0, 0, 0, 0, 1, 0, 2, 0, 5];
            rows.extend(images.iter().map(|_| 0xff));
            images.iter().for_each(|image| rows.extend(row(image)));
            add(self, kind, &rows);
        }
        if transaction.form != Form::Alone {
            add(self, 16, &number.to_le_bytes());
        }
        if compressed {
            let payload = payload(&inner, transaction.form == Form::BadZstd);
            events.push(self.event(40, &payload, true));
        }
        events
    }
}

fn query(text: &str) -> Vec<u8> {
    let head = [0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0];
    [&head[..], b"pay\0", text.as_bytes()].concat()
}

/// `pay.payment`, with full metadata: collation 255 for its texts and the names of all columns.
fn table_map() -> Vec<u8> {
    let mut body = vec![90, 0, 0, 0, 0, 0, 1, 0];
    body.extend(b"\x03pay\0\x07payment\0");
    // VARCHAR(160 bytes) twice, DECIMAL(18,2), BIGINT, DATETIME(6); the last two may be null.
    body.extend([5, 15, 15, 246, 8, 18]);
    body.extend([7, 160, 0, 160, 0, 18, 2, 6, 0b11000]);
    body.extend([1, 1, 0, 2, 3, 0xfc, 255, 0]);
    let names: Vec<u8> = ["payment_no", "order_no", "amount", "fen", "updated_at"]
        .iter()
        .flat_map(|name| [&[name.len() as u8], name.as_bytes()].concat())
        .collect();
    body.extend([4, names.len() as u8]);
    body.extend(names);
    body
}

/// A row whose `fen` is the amount, and whose time is null.
fn row((payment, order, amount): &Payment) -> Vec<u8> {
    let mut row = vec![0b10000];
    for text in [payment, order] {
        row.push(text.len() as u8);
        row.extend(text.as_bytes());
    }
    // Seven digits, nine digits, two behind the point; the highest bit stands for the sign.
    let (whole, fraction) = (amount / 100, amount % 100);
    row.push(0x80);
    row.extend(&((whole / 1_000_000_000) as u32).to_be_bytes()[1..]);
    row.extend(((whole % 1_000_000_000) as u32).to_be_bytes());
    row.push(fraction as u8);
    row.extend(amount.to_le_bytes());
    row
}

fn payload(events: &[u8], bad: bool) -> Vec<u8> {
    let mut compressed = zstd::stream::encode_all(events, 3).unwrap();
    if bad {
        let middle = compressed.len() / 2;
        compressed[middle..]
            .iter_mut()
            .for_each(|byte| *byte ^= 0x5a);
    }
    let mut body = vec![2, 1, 0];
    for (field, value) in [(3, events.len()), (1, compressed.len())] {
        body.extend([field, 3, 0xfc]);
        body.extend((value as u16).to_le_bytes());
    }
    body.push(0);
    body.extend(compressed);
    body
}
