//! What a check through the client's cache costs, with 100,000 trips in force.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use centinel_breaker::{Known, Name, Point, Points, Request, Scope, Update};

fn request(number: usize) -> Request {
    let name = |text: String| Name::new(&text).unwrap();
    Request {
        request_id: name(format!("request-{number}")),
        point: Point::ALL[number % 3],
        business_code: name(format!("B{}", number % 50)),
        merchant_no: name(format!("M{number}")),
        order_no: name(format!("O{number}")),
        amount: centinel_breaker::read_amount("12.50").unwrap(),
        currency: centinel_breaker::Currency::new("CNY").unwrap(),
    }
}

fn main() {
    let mut known = Known::default();
    known.take(Update::Begin {
        max_staleness_ms: [(Point::CashOut, 60_000)].into(),
    });
    for number in 0..100_000 {
        let name = |kind: &str| Name::new(&format!("{kind}{number}")).unwrap();
        known.take(Update::Cover {
            id: name("T"),
            scope: if number % 2 == 0 {
                Scope::Merchant(name("tripped-M"))
            } else {
                Scope::Order(name("tripped-O"))
            },
            points: Points::new(&Point::ALL).unwrap(),
        });
    }
    known.take(Update::Alive {
        staleness_ms: Some(5),
    });
    let known = std::sync::RwLock::new((known, Instant::now()));
    let requests: Vec<Request> = (0..1_000).map(request).collect();
    for _ in 0..3 {
        let (start, rounds) = (Instant::now(), 1_000);
        for _ in 0..rounds {
            for request in &requests {
                // As `Client::cached` does it: a lock, the age, the look.
                let known = known.read().unwrap();
                let age = u64::try_from(known.1.elapsed().as_millis()).unwrap();
                assert!(black_box(known.0.allows(black_box(request), age)));
            }
        }
        let each = start.elapsed().as_nanos() / (rounds * requests.len() as u128);
        println!("a check through the cache, 100,000 trips in force: {each} ns");
    }
}
