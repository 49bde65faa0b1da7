//! Pages of findings in order, by the key of the last row and never by counting rows.
//!
//! The groups that fit a filter are merged, each read by an index from the place where the page begins. So a page costs as much as
//! it has rows, and a little for each group, wherever it stands and however rare its rows are. Where something else says
//! which findings are meant (an entity, a search, a stretch of time in the order of money), those are looked through instead.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::fmt;

use rusqlite::{Connection, params};

use crate::FindingsError;
use crate::filter::Filter;
use crate::groups::{Group, day_of};
use crate::row::{Row, row};
use crate::store::Store;
use crate::words;

/// Rows of one page.
pub const MOST_ROWS: usize = 500;
/// A search that fits more findings than this is refused.
pub const MOST_FITTING: usize = 20_000;
/// In the order of money, a stretch of time with so many findings is looked through; of a longer one the largest are
/// looked at until enough of them lie in it.
pub(crate) const MOST_IN_RANGE: u64 = 100_000;

/// In what order findings are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// The newest first; of one moment the largest first.
    #[default]
    Time,
    /// By currency, as amounts of several cannot be compared, and in each the largest first; of one amount the newest
    /// first; those without a currency at the end.
    Money,
}

/// A place in an order, behind which the next page begins. As text it fits into a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    order: Order,
    place: Place,
}

/// Where a finding stands in both orders.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    currency: String,
    since: i64,
    money: Vec<u8>,
    id: i64,
}

impl Place {
    /// Bytes of which the greater come first.
    fn key(&self, order: Order) -> Vec<u8> {
        let since = ((self.since as u64) ^ (1 << 63)).to_be_bytes();
        let mut key = Vec::with_capacity(40);
        if order == Order::Money {
            key.extend(
                [0, 1, 2].map(|at| self.currency.as_bytes().get(at).map_or(0, |byte| !byte)),
            );
            key.extend_from_slice(&self.money);
            key.push(0);
            key.extend(since);
        } else {
            key.extend(since);
            key.extend_from_slice(&self.money);
            key.push(0);
        }
        key.extend(self.id.to_be_bytes());
        key
    }

    /// Before everything in both orders.
    fn first() -> Place {
        Place {
            currency: String::new(),
            since: i64::MAX,
            money: vec![0xff],
            id: i64::MAX,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place {
            currency,
            since,
            money,
            id,
        } = &self.place;
        let order = match self.order {
            Order::Time => "t",
            Order::Money => "m",
        };
        let money: String = money.iter().map(|byte| format!("{byte:02x}")).collect();
        write!(out, "{order}_{currency}_{since}_{money}_{id}")
    }
}

impl Cursor {
    /// Reads what [`fmt::Display`] wrote.
    ///
    /// # Errors
    /// [`FindingsError::Refused`] for any other text.
    pub fn parse(text: &str) -> Result<Cursor, FindingsError> {
        Cursor::read(text).ok_or_else(|| {
            FindingsError::refused(
                "this is no place in a list of findings",
                "begin with the first page",
            )
        })
    }

    fn read(text: &str) -> Option<Cursor> {
        let parts: Vec<&str> = text.split('_').collect();
        let [order, currency, since, money, id] = parts[..] else {
            return None;
        };
        let order = match order {
            "t" => Order::Time,
            "m" => Order::Money,
            _ => return None,
        };
        let right =
            (currency.is_empty() || currency.len() == 3) && money.len() <= 100 && money.is_ascii();
        let byte = |at: usize| u8::from_str_radix(money.get(at..at + 2)?, 16).ok();
        let place = Place {
            currency: currency.to_owned(),
            since: since.parse().ok()?,
            money: (0..money.len())
                .step_by(2)
                .map(byte)
                .collect::<Option<_>>()?,
            id: id.parse().ok()?,
        };
        right.then_some(Cursor { order, place })
    }
}

/// One page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Its findings, in order.
    pub rows: Vec<Row>,
    /// Where the next page begins; none where this is the last one.
    pub next: Option<Cursor>,
}

impl Store {
    /// The page of findings that begins behind `after`, at most `limit` of them (1 to [`MOST_ROWS`]).
    ///
    /// # Errors
    /// [`FindingsError::Refused`] for a limit or a filter that cannot be, a place in another order, or a search that fits more
    /// than [`MOST_FITTING`] findings.
    pub fn page(
        &self,
        filter: &Filter,
        order: Order,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, FindingsError> {
        let looked = self.connection.unchecked_transaction()?;
        page(&looked, self.most_in_range, filter, order, after, limit)
    }

    /// In the order of money, a stretch of time with at most so many findings is looked through whole (100,000); of a
    /// longer one the largest findings of all times are looked at until enough of them lie in it.
    pub fn look_through(&mut self, findings: u64) {
        self.most_in_range = findings;
    }
}

/// The same within a transaction.
pub(crate) fn page(
    connection: &Connection,
    most_in_range: u64,
    filter: &Filter,
    order: Order,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page, FindingsError> {
    if !(1..=MOST_ROWS).contains(&limit) {
        let problem = format!("a page of {limit} findings cannot be asked for");
        return Err(FindingsError::refused(
            problem,
            format!("ask for 1 to {MOST_ROWS}"),
        ));
    }
    if after.is_some_and(|after| after.order != order) {
        return Err(FindingsError::refused(
            "this place is one in another order",
            "begin with the first page",
        ));
    }
    let asked = Asked {
        connection,
        filter,
        order,
        after: after.map(|after| &after.place),
        wanted: limit + 1,
    };
    let mut groups = filter.groups(connection)?;
    let in_range = match order == Order::Money && !filter.is_of_all_time() {
        true => Some(asked.in_range(&mut groups)?),
        false => None,
    };
    let mut places = match (&filter.text, &filter.entity_key) {
        (Some(text), _) => asked.searched(&groups, text)?,
        (None, Some(entity_key)) => asked.of_entity(&groups, entity_key)?,
        (None, None) if in_range.is_some_and(|findings| findings <= most_in_range) => {
            asked.of_range(&groups)?
        }
        (None, None) => asked.merged(&groups)?,
    };
    let more = places.len() > limit;
    places.truncate(limit);
    let next = places.last().filter(|_| more).map(|place| Cursor {
        order,
        place: place.clone(),
    });
    let rows = places
        .iter()
        .map(|place| row(connection, place.id))
        .collect::<Result<_, _>>()?;
    Ok(Page { rows, next })
}

struct Asked<'a> {
    connection: &'a Connection,
    filter: &'a Filter,
    order: Order,
    after: Option<&'a Place>,
    wanted: usize,
}

/// A group that is being merged.
struct Merged<'a> {
    group: &'a Group,
    read: VecDeque<Place>,
    /// Where the next rows of it are read.
    from: Place,
    /// How many are read at once; it grows with what is needed.
    at_once: usize,
    ended: bool,
}

const BY_TIME: &str = "SELECT arrived, since, money FROM findings INDEXED BY findings_by_time
     WHERE group_id = ?1 AND (since, money, arrived) < (?2, ?3, ?4) AND since >= ?5
     ORDER BY since DESC, money DESC, arrived DESC LIMIT ?7";
const BY_MONEY: &str = "SELECT arrived, since, money FROM findings INDEXED BY findings_by_money
     WHERE group_id = ?1 AND (money, since, arrived) < (?3, ?2, ?4)
     ORDER BY money DESC, since DESC, arrived DESC LIMIT ?7";
const BY_MONEY_IN_RANGE: &str =
    "SELECT arrived, since, money FROM findings INDEXED BY findings_by_money
     WHERE group_id = ?1 AND (money, since, arrived) < (?3, ?2, ?4) AND +since BETWEEN ?5 AND ?6
     ORDER BY money DESC, since DESC, arrived DESC LIMIT ?7";

impl Asked<'_> {
    /// All groups at once, each in its own order.
    fn merged(&self, groups: &[Group]) -> Result<Vec<Place>, FindingsError> {
        let mut merged: Vec<Merged> = Vec::new();
        for group in groups {
            if let Some(from) = self.begin(group) {
                merged.push(Merged {
                    group,
                    read: VecDeque::new(),
                    from,
                    at_once: 1,
                    ended: false,
                });
            }
        }
        let mut heap = BinaryHeap::new();
        for (at, group) in merged.iter_mut().enumerate() {
            if let Some(place) = self.peek(group)? {
                heap.push((place.key(self.order), at));
            }
        }
        let mut places = Vec::new();
        while places.len() < self.wanted
            && let Some((_, at)) = heap.pop()
        {
            places.extend(merged[at].read.pop_front());
            if let Some(place) = self.peek(&mut merged[at])? {
                heap.push((place.key(self.order), at));
            }
        }
        Ok(places)
    }

    /// Where a group begins behind the cursor; none where it lies before it.
    fn begin(&self, group: &Group) -> Option<Place> {
        let currency = &group.facets.currency;
        let mut from = Place {
            currency: currency.clone(),
            ..Place::first()
        };
        if let Some(after) = self.after {
            let side = |currency: &str| (currency.is_empty(), currency.to_owned());
            match (self.order, side(currency).cmp(&side(&after.currency))) {
                (Order::Time, _) | (Order::Money, std::cmp::Ordering::Equal) => {
                    from = Place {
                        currency: currency.clone(),
                        ..after.clone()
                    };
                }
                (Order::Money, std::cmp::Ordering::Less) => return None,
                (Order::Money, std::cmp::Ordering::Greater) => {}
            }
        }
        if self.order == Order::Time
            && let Some(until) = self.filter.until
            && until.0 <= from.since
        {
            // Below everything of that moment.
            from = Place {
                since: until.0,
                money: Vec::new(),
                id: i64::MIN,
                ..from
            };
        }
        Some(from)
    }

    /// The next of a group, read if need be.
    fn peek<'m>(&self, merged: &'m mut Merged<'_>) -> Result<Option<&'m Place>, FindingsError> {
        if merged.read.is_empty() && !merged.ended {
            let sql = match self.order {
                Order::Time => BY_TIME,
                Order::Money if self.filter.is_of_all_time() => BY_MONEY,
                Order::Money => BY_MONEY_IN_RANGE,
            };
            let (first, last) = self.filter.range();
            let mut select = self.connection.prepare_cached(sql)?;
            let from = &merged.from;
            let parameters = params![
                merged.group.id,
                from.since,
                from.money,
                from.id,
                first,
                last,
                merged.at_once as u64
            ];
            let mut rows = select.query(parameters)?;
            while let Some(row) = rows.next()? {
                merged.read.push_back(Place {
                    currency: merged.group.facets.currency.clone(),
                    id: row.get(0)?,
                    since: row.get(1)?,
                    money: row.get(2)?,
                });
            }
            merged.ended = merged.read.len() < merged.at_once;
            merged.at_once = (merged.at_once * 4).min(MOST_ROWS);
            if let Some(last) = merged.read.back() {
                merged.from = last.clone();
            }
        }
        Ok(merged.read.front())
    }

    /// How many findings the days of the filter's time have. Groups that have none are left out.
    fn in_range(&self, groups: &mut Vec<Group>) -> Result<u64, FindingsError> {
        let (first, last) = self.filter.range();
        let mut select = self.connection.prepare_cached(
            "SELECT ifnull(sum(findings), 0) FROM days WHERE group_id = ?1 AND day BETWEEN ?2 AND ?3",
        )?;
        let (mut findings, mut left) = (0_u64, Vec::new());
        for group in groups.drain(..) {
            let days = params![group.id, day_of(first), day_of(last)];
            let of_group = select.query_row(days, |row| row.get::<_, u64>(0))?;
            if of_group > 0 {
                findings += of_group;
                left.push(group);
            }
        }
        *groups = left;
        Ok(findings)
    }

    fn of_range(&self, groups: &[Group]) -> Result<Vec<Place>, FindingsError> {
        let mut best = self.best(groups);
        let (first, last) = self.filter.range();
        let mut select = self.connection.prepare_cached(
            "SELECT id, group_id, since, money FROM findings INDEXED BY findings_by_time
             WHERE group_id = ?1 AND since BETWEEN ?2 AND ?3",
        )?;
        for group in groups {
            best.take(&mut select.query(params![group.id, first, last])?)?;
        }
        Ok(best.sorted())
    }

    fn of_entity(&self, groups: &[Group], entity_key: &str) -> Result<Vec<Place>, FindingsError> {
        let mut best = self.best(groups);
        let mut select = self.connection.prepare_cached(
            "SELECT id, group_id, since, money FROM findings INDEXED BY findings_by_entity WHERE entity_key = ?1",
        )?;
        best.take(&mut select.query([entity_key])?)?;
        Ok(best.sorted())
    }

    fn searched(&self, groups: &[Group], text: &str) -> Result<Vec<Place>, FindingsError> {
        let mut best = self.best(groups);
        let mut select = self.connection.prepare_cached(
            "SELECT id, group_id, since, money FROM words JOIN findings ON id = words.rowid
             WHERE words MATCH ?1 AND (?2 IS NULL OR entity_key = ?2) LIMIT ?3",
        )?;
        let search = words::search(text)?;
        let most = MOST_FITTING as u64 + 1;
        best.take(&mut select.query(params![search, self.filter.entity_key, most])?)?;
        match best.seen > MOST_FITTING {
            true => Err(FindingsError::refused(
                format!("more than {MOST_FITTING} findings have these words"),
                "write another word, or more of one; or ask for the rule or the entity instead",
            )),
            false => Ok(best.sorted()),
        }
    }

    fn best<'b>(&'b self, groups: &'b [Group]) -> Best<'b> {
        Best {
            order: self.order,
            groups: groups
                .iter()
                .map(|group| (group.id, group.facets.currency.as_str()))
                .collect(),
            filter: self.filter,
            before: self.after.map(|after| after.key(self.order)),
            wanted: self.wanted,
            heap: BinaryHeap::new(),
            seen: 0,
        }
    }
}

/// The first ones behind a place, of rows that come in any order.
struct Best<'a> {
    order: Order,
    groups: HashMap<i64, &'a str>,
    filter: &'a Filter,
    before: Option<Vec<u8>>,
    wanted: usize,
    heap: BinaryHeap<Reverse<(Vec<u8>, Place)>>,
    seen: usize,
}

impl Best<'_> {
    fn take(&mut self, rows: &mut rusqlite::Rows<'_>) -> Result<(), FindingsError> {
        let (first, last) = self.filter.range();
        while let Some(row) = rows.next()? {
            self.seen += 1;
            let Some(currency) = self.groups.get(&row.get::<_, i64>(1)?) else {
                continue;
            };
            let since: i64 = row.get(2)?;
            if !(first..=last).contains(&since) {
                continue;
            }
            let place = Place {
                currency: (*currency).to_owned(),
                id: row.get(0)?,
                since,
                money: row.get(3)?,
            };
            let key = place.key(self.order);
            if self.before.as_ref().is_some_and(|before| key >= *before) {
                continue;
            }
            let full = self.heap.len() >= self.wanted;
            if full
                && self
                    .heap
                    .peek()
                    .is_some_and(|Reverse((least, _))| key <= *least)
            {
                continue;
            }
            if full {
                self.heap.pop();
            }
            self.heap.push(Reverse((key, place)));
        }
        Ok(())
    }

    fn sorted(self) -> Vec<Place> {
        // Reversed keys rise where the keys fall.
        self.heap
            .into_sorted_vec()
            .into_iter()
            .map(|Reverse((_, place))| place)
            .collect()
    }
}
