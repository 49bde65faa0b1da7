//! A check costs the same under one trip and under 100,000.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant as Clock};

use centinel_breaker::*;

fn name(text: String) -> Name {
    Name::new(&text).unwrap()
}

fn request(number: usize) -> Request {
    Request {
        request_id: name(format!("r{number}")),
        point: Point::ALL[number % 3],
        business_code: name(format!("B{number}")),
        merchant_no: name(format!("M{number}")),
        order_no: name(format!("O{number}")),
        amount: read_amount("1.00").unwrap(),
        currency: Currency::new("CNY").unwrap(),
    }
}

fn policies() -> Policies {
    let policy = PointPolicy {
        on_suspected: Decision::Allow,
        on_undetermined: Decision::Allow,
        max_staleness: centinel_model::Duration::ZERO,
        beyond_max_staleness: Decision::Allow,
    };
    Policies {
        refund: policy,
        settlement: policy,
        cash_out: policy,
    }
}

fn tripped(trips: usize, scope: impl Fn(usize) -> Scope) -> State {
    let mut state = State::default();
    for number in 0..trips {
        let trip = Trip {
            id: TripId(number as u64 + 1),
            scope: scope(number),
            // All at one merchant hold at refund alone: checks elsewhere must not look at them.
            points: Points::new(&[Point::Refund]).unwrap(),
            reason: Text::new("because").unwrap(),
            owner: name("owner".into()),
            origin: Origin::Person {
                name: name("ann".into()),
            },
            request_id: None,
            lasts: centinel_model::Duration::seconds(3_600),
            state: TripState::InForce,
            proposed_because: None,
            decided_by: None,
            set_at: Default::default(),
            ended_at: None,
            recovered_at: None,
            set: Instant(0),
            since: Instant(0),
            expires: Instant(3_600_000_000),
            automatic: false,
        };
        state.put(&Change::Trip(trip.into()));
    }
    state
}

fn per_check(state: &State) -> Duration {
    let (policies, requests) = (
        policies(),
        (500_000..501_000).map(request).collect::<Vec<_>>(),
    );
    let round = || {
        let start = Clock::now();
        for request in &requests {
            let checked = state.check(Instant(1), request, &policies);
            assert_eq!(checked, Checked::Allow { resumed: false });
        }
        start.elapsed() / 1_000
    };
    (0..50).map(|_| round()).min().unwrap()
}

#[test]
fn a_hundred_thousand_trips_do_not_slow_a_check() {
    let few = per_check(&tripped(10, |number| {
        Scope::Merchant(name(format!("M{number}")))
    }));
    let many = per_check(&tripped(100_000, |number| match number % 3 {
        0 => Scope::Merchant(name(format!("M{number}"))),
        1 => Scope::Order(name(format!("O{number}"))),
        _ => Scope::BusinessCode(name(format!("B{number}"))),
    }));
    let elsewhere = per_check(&tripped(100_000, |_| Scope::Merchant(name("M7".into()))));
    // Memory caches make some difference; looking at all trips would make it a thousand times.
    let most = few * 20 + Duration::from_micros(5);
    assert!(
        many < most && elsewhere < most,
        "{few:?}, {many:?}, {elsewhere:?}"
    );
}
