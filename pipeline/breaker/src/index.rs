use std::collections::{BTreeMap, HashMap};

use crate::{Name, Point, Points, Request, Scope};

/// What holds at each point, by scope: a check looks at four entries, however many there are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Index<K: Ord, V> {
    orders: HashMap<Name, Covers<K, V>>,
    merchants: HashMap<Name, Covers<K, V>>,
    business_codes: HashMap<Name, Covers<K, V>>,
    all: Covers<K, V>,
}

type Covers<K, V> = [BTreeMap<K, V>; Point::ALL.len()];

fn none<K: Ord, V>() -> Covers<K, V> {
    [const { BTreeMap::new() }; Point::ALL.len()]
}

impl<K: Ord, V> Default for Index<K, V> {
    fn default() -> Self {
        Index {
            orders: HashMap::new(),
            merchants: HashMap::new(),
            business_codes: HashMap::new(),
            all: none(),
        }
    }
}

impl<K: Ord + Clone, V: Copy> Index<K, V> {
    pub(crate) fn insert(&mut self, scope: &Scope, points: Points, key: &K, value: V) {
        let covers = match scope {
            Scope::Order(name) => self.orders.entry(name.clone()).or_insert_with(none),
            Scope::Merchant(name) => self.merchants.entry(name.clone()).or_insert_with(none),
            Scope::BusinessCode(name) => {
                self.business_codes.entry(name.clone()).or_insert_with(none)
            }
            Scope::All => &mut self.all,
        };
        for point in points.iter() {
            covers[point as usize].insert(key.clone(), value);
        }
    }

    pub(crate) fn remove(&mut self, scope: &Scope, points: Points, key: &K) {
        let (names, name) = match scope {
            Scope::Order(name) => (&mut self.orders, name),
            Scope::Merchant(name) => (&mut self.merchants, name),
            Scope::BusinessCode(name) => (&mut self.business_codes, name),
            Scope::All => {
                for point in points.iter() {
                    self.all[point as usize].remove(key);
                }
                return;
            }
        };
        if let Some(covers) = names.get_mut(name) {
            for point in points.iter() {
                covers[point as usize].remove(key);
            }
            if covers.iter().all(BTreeMap::is_empty) {
                names.remove(name);
            }
        }
    }

    /// What covers a request at its point: of the narrowest scope first, and there by key.
    pub(crate) fn covering<'a>(&'a self, request: &'a Request) -> impl Iterator<Item = (&'a K, V)> {
        let named = [
            self.orders.get(&request.order_no),
            self.merchants.get(&request.merchant_no),
            self.business_codes.get(&request.business_code),
            Some(&self.all),
        ];
        let at = request.point as usize;
        let covers = named.into_iter().flatten();
        covers.flat_map(move |covers| covers[at].iter().map(|(key, value)| (key, *value)))
    }
}
