//! Packets of MySQL's protocol, the server's side.

use std::io::{Read, Result, Write};
use std::net::TcpStream;

/// A column's name and the number of its type.
pub type Column = (&'static str, u8);

pub struct Packets {
    stream: TcpStream,
    sequence: u8,
}

fn length_encoded(text: &[u8]) -> Vec<u8> {
    let length = match text.len() {
        short @ 0..=250 => vec![short as u8],
        long => [&[0xfc], &(long as u16).to_le_bytes()[..]].concat(),
    };
    [length, text.to_vec()].concat()
}

impl Packets {
    pub fn new(stream: TcpStream) -> Result<Packets> {
        stream.set_nodelay(true)?;
        Ok(Packets {
            stream,
            sequence: 0,
        })
    }

    fn send(&mut self, content: &[u8]) -> Result<()> {
        let mut packet = (content.len() as u32).to_le_bytes()[..3].to_vec();
        packet.push(self.sequence);
        packet.extend(content);
        self.sequence = self.sequence.wrapping_add(1);
        self.stream.write_all(&packet)
    }

    fn receive(&mut self) -> Result<Vec<u8>> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head)?;
        self.sequence = head[3].wrapping_add(1);
        let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
        let mut content = vec![0; length as usize];
        self.stream.read_exact(&mut content)?;
        Ok(content)
    }

    /// Greets with the tenth form of the handshake and takes every password.
    pub fn greet(&mut self, version: &str) -> Result<()> {
        let mut greeting = vec![10];
        greeting.extend(version.as_bytes());
        greeting.extend([0, 7, 0, 0, 0]);
        greeting.extend(b"abcdefgh\0");
        // Protocol 4.1, transactions, secure connection; plugins for authentication.
        let capabilities: u32 = 1 | 0x200 | 0x2000 | 0x8000 | 0x8_0000;
        greeting.extend(&capabilities.to_le_bytes()[..2]);
        greeting.extend([255, 2, 0]);
        greeting.extend(&capabilities.to_le_bytes()[2..]);
        greeting.push(21);
        greeting.extend([0; 10]);
        greeting.extend(b"abcdefghijkl\0mysql_native_password\0");
        self.send(&greeting)?;
        self.receive()?;
        self.done()
    }

    pub fn command(&mut self) -> Result<Vec<u8>> {
        self.receive()
    }

    pub fn done(&mut self) -> Result<()> {
        self.send(&[0, 0, 0, 2, 0, 0, 0])
    }

    fn end(&mut self) -> Result<()> {
        self.send(&[0xfe, 0, 0, 2, 0])
    }

    pub fn refuse(&mut self, code: u16, message: &str) -> Result<()> {
        let code = code.to_le_bytes();
        self.send(&[&[0xff], &code[..], b"#HY000", message.as_bytes()].concat())
    }

    fn column(&mut self, (name, kind): Column) -> Result<()> {
        let mut column = Vec::new();
        for text in ["def", "", "", "", name, name] {
            column.extend(length_encoded(text.as_bytes()));
        }
        let decimals = if kind == 246 { 2 } else { 0 };
        column.extend([0x0c, 255, 0, 0, 1, 0, 0, kind, 0, 0, decimals, 0, 0]);
        self.send(&column)
    }

    /// Rows of texts.
    pub fn texts(&mut self, rows: &[Vec<String>]) -> Result<()> {
        let columns = rows.first().map_or(1, Vec::len);
        self.send(&[columns as u8])?;
        for _ in 0..columns {
            self.column(("text", 253))?;
        }
        self.end()?;
        for row in rows {
            let row: Vec<u8> = row
                .iter()
                .flat_map(|text| length_encoded(text.as_bytes()))
                .collect();
            self.send(&row)?;
        }
        self.end()
    }

    /// A statement without parameters was prepared.
    pub fn prepared(&mut self, columns: &[Column]) -> Result<()> {
        let count = columns.len() as u8;
        self.send(&[0, 1, 0, 0, 0, count, 0, 0, 0, 0, 0, 0])?;
        for column in columns {
            self.column(*column)?;
        }
        self.end()
    }

    /// Rows of a prepared statement: whole numbers in 8 bytes, times never there, all else as texts.
    pub fn values(&mut self, columns: &[Column], rows: &[[Option<String>; 5]]) -> Result<()> {
        self.send(&[columns.len() as u8])?;
        for column in columns {
            self.column(*column)?;
        }
        self.end()?;
        for row in rows {
            let mut nulls = vec![0u8; (columns.len() + 2).div_ceil(8)];
            let mut values = Vec::new();
            for (index, (value, (_, kind))) in row.iter().zip(columns).enumerate() {
                match value {
                    None => nulls[(index + 2) / 8] |= 1 << ((index + 2) % 8),
                    Some(number) if *kind == 8 => {
                        values.extend(number.parse::<i64>().unwrap().to_le_bytes());
                    }
                    Some(text) => values.extend(length_encoded(text.as_bytes())),
                }
            }
            self.send(&[vec![0], nulls, values].concat())?;
        }
        self.end()
    }

    /// One event of the log.
    pub fn event(&mut self, event: &[u8]) -> Result<()> {
        self.send(&[&[0], event].concat())
    }
}
