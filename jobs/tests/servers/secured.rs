//! A Kafka that speaks TLS only, and only to an account.

use std::path::Path;

use test_servers::{Kafka, Secured};

use crate::shop::{PASSWORD, Shop, TOPIC, publish};

/// The shop's events from a secured listener.
fn shop(kafka: &Secured, mechanism: &str, authority: &Path) -> Shop {
    let mut shop = Shop::new();
    let select = "SELECT order_no, payment_no, amount FROM payment_completed WHERE amount > 500";
    shop.rule("too-large", "0s", select);
    let settings = format!(
        "[sources.business-events.settings]\n\"security.protocol\" = \"SASL_SSL\"\n\
         \"sasl.mechanism\" = \"{mechanism}\"\n\"sasl.username\" = \"{}\"\n\
         \"sasl.password\" = {{ env = \"{PASSWORD}\" }}\n\"ssl.ca.location\" = {authority:?}\n",
        kafka.user()
    );
    shop.read_events(&kafka.bootstrap(), &settings);
    shop
}

#[test]
fn topics_behind_tls_and_a_password_are_read_and_what_does_not_fit_is_said() {
    let kafka = Kafka::start_secured();
    kafka.create_topic(TOPIC, 2, &[]);
    publish(&kafka, &[(1, 100), (2, 90_000)]);
    let secured = kafka.secured();
    let (own, foreign) = (secured.authority(), secured.foreign_authority());
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let shop = shop(secured, mechanism, own);
        let (status, said) = shop.run(&["check"], secured.password());
        assert_eq!(status, 0, "{said}");
        assert!(said.contains("business-events: can be read"), "{said}");
        let detect = ["detect", "--config", "centinel.toml", "--until-quiet", "3s"];
        let (status, said) = shop.run(&detect, secured.password());
        assert_eq!(status, 2, "{said}");
        let found = shop.findings();
        assert!(
            found.lines().count() == 1 && found.contains("\"E2\""),
            "{found}"
        );
    }
    // Each waits for brokers that do not answer.
    let wrong = "not-the-password";
    let refused: [(&str, &Path, &str, &str); 4] = [
        (
            "PLAIN",
            own,
            wrong,
            "correct `sasl.username` and `sasl.password`",
        ),
        (
            "SCRAM-SHA-512",
            own,
            wrong,
            "correct `sasl.username` and `sasl.password`",
        ),
        (
            "PLAIN",
            foreign,
            secured.password(),
            "let `ssl.ca.location` of `settings` name",
        ),
        (
            "SCRAM-SHA-256",
            own,
            secured.password(),
            "let `sasl.mechanism` of `settings` be one",
        ),
    ];
    std::thread::scope(|scope| {
        for (mechanism, authority, password, remedy) in refused {
            scope.spawn(move || {
                let shop = shop(secured, mechanism, authority);
                let detect = ["detect", "--config", "centinel.toml", "--until-now"];
                for arguments in [&["check"][..], &detect] {
                    let (status, said) = shop.run(arguments, password);
                    assert_eq!(status, 3, "{said}");
                    assert!(said.contains("the brokers do not answer"), "{said}");
                    assert!(said.contains(remedy), "{said}");
                    assert!(!said.contains(password), "{said}");
                }
            });
        }
        scope.spawn(|| {
            let mut shop = Shop::new();
            shop.rule(
                "any",
                "0s",
                "SELECT order_no, payment_no, amount FROM payment_completed",
            );
            shop.read_events(&secured.bootstrap(), "");
            let (status, said) = shop.run(&["check"], "");
            assert_eq!(status, 3, "{said}");
            assert!(
                said.contains("and `settings` fit their listeners"),
                "{said}"
            );
        });
    });
}
