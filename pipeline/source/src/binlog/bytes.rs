//! Numbers and lengths out of an event's bytes, never beyond their end.

/// The bytes end before what should stand there, or say something that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What is left to read of an event. Integers are little-endian unless said otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// An integer of at most 8 bytes.
    pub(super) fn number(&mut self, length: usize) -> Result<u64, Malformed> {
        Ok(little_endian(self.take(length)?))
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(self.number(2)? as u16)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(self.number(4)? as u32)
    }

    /// A number that is as long as its first byte says.
    pub(super) fn packed(&mut self) -> Result<u64, Malformed> {
        match self.u8()? {
            short @ 0..=0xfa => Ok(u64::from(short)),
            0xfc => self.number(2),
            0xfd => self.number(3),
            0xfe => self.number(8),
            _ => Err(Malformed),
        }
    }

    /// As [`Bytes::packed`], as a count or a length.
    pub(super) fn packed_length(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.packed()?).map_err(|_| Malformed)
    }

    /// Bytes behind their length, as [`Bytes::packed`].
    pub(super) fn packed_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.packed_length()?;
        self.take(length)
    }

    /// Text behind its length in one byte, with a zero byte behind it.
    pub(super) fn name(&mut self) -> Result<&'a str, Malformed> {
        let length = usize::from(self.u8()?);
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| Malformed)?;
        self.take(1)?;
        Ok(text)
    }
}

/// At most 8 bytes as a number, the lowest first.
pub(super) fn little_endian(bytes: &[u8]) -> u64 {
    let ascending = bytes.iter().rev();
    ascending.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// At most 8 bytes as a number, the highest first.
pub(super) fn big_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Whether the bit with this number is set, the lowest bit of each byte first.
pub(super) fn bit(bitmap: &[u8], index: usize) -> bool {
    bitmap
        .get(index / 8)
        .is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}
