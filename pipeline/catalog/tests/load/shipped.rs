use std::path::Path;

use centinel_catalog::{
    Catalog, ColumnType, Currency, EntityPath, MessageField, Money, MoneyUnit, Normalisation,
    Table, TableKind, TablePattern, TimeForm, load,
};
use centinel_model::{Duration, TableId};

use crate::folder::Folder;

fn schemas() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas"))
}

fn loaded(path: &Path) -> Catalog {
    load(path).unwrap_or_else(|mistakes| {
        let rendered: Vec<_> = mistakes
            .into_iter()
            .map(|mistake| mistake.rendered)
            .collect();
        panic!("{}", rendered.join("\n\n"))
    })
}

/// Whether a file describes it, and not only a guard brings it.
fn is_declared(table: &Table) -> bool {
    !matches!(table.kind, TableKind::History(_))
}

#[test]
fn the_shipped_schemas_describe_the_reference_platform() {
    let catalog = loaded(schemas());
    let histories = catalog.tables.iter().filter(|table| !is_declared(table));
    let histories: Vec<&str> = histories.map(|table| table.name.as_str()).collect();
    assert_eq!(
        histories,
        [
            "accounting_entry_changes",
            "cash_out_changes",
            "payment_changes",
            "refund_changes",
            "settlement_changes"
        ]
    );
    let listed: Vec<String> = catalog
        .tables
        .iter()
        .filter(|table| is_declared(table))
        .map(|table| {
            let entities = table.entities.iter().map(|path| match path {
                EntityPath::Direct { entity, .. } => catalog.entity(*entity).name.clone(),
                EntityPath::Through { entity, target, .. } => {
                    format!(
                        "{} via {}",
                        catalog.entity(*entity).name,
                        catalog.table(*target).name
                    )
                }
            });
            let entities: Vec<_> = entities.collect();
            format!(
                "{} {} [{}]",
                table.name,
                table.columns.len(),
                entities.join(", ")
            )
        })
        .collect();
    assert_eq!(
        listed,
        [
            "accounting_entry 9 [order via settlement]",
            "accounting_entry_booked 5 [order via settlement]",
            "billing 8 [merchant, order]",
            "cash_out 7 [cash_out, merchant]",
            "cash_out_sent 5 [cash_out, merchant]",
            "payment 11 [merchant, order]",
            "payment_completed 6 [order]",
            "refund 9 [merchant, order]",
            "refund_completed 5 [order]",
            "settlement 9 [cash_out, merchant, order]",
            "settlement_completed 5 [order]",
        ]
    );
    assert_eq!(catalog.sources.len(), 7);
    assert!(
        catalog
            .tables
            .iter()
            .all(|table| table.changed_at.is_some())
    );
    let order = catalog.entity(catalog.entity_id("order").unwrap());
    assert_eq!(order.normalise, [Normalisation::Trim, Normalisation::Upper]);
    assert_eq!(order.max_rows, 10_000);
}

#[test]
fn shipped_money_and_personal_data_are_marked() {
    let mut catalog = loaded(schemas());
    catalog.tables.retain(is_declared);
    let mut money = Vec::new();
    let mut sensitive = Vec::new();
    for table in &catalog.tables {
        for column in &table.columns {
            if let Some(Money {
                currency,
                unit,
                minor_digits,
            }) = &column.money
            {
                assert_eq!(
                    (currency, *minor_digits),
                    (&Currency::Fixed("CNY".into()), 2)
                );
                money.push(format!("{}.{} {unit:?}", table.name, column.name));
            }
            if column.sensitive {
                sensitive.push(format!("{}.{}", table.name, column.name));
            }
        }
    }
    assert_eq!(
        money,
        [
            "accounting_entry.amount Minor",
            "accounting_entry_booked.amount Minor",
            "billing.fee_base Major",
            "billing.fee Major",
            "cash_out.amount Major",
            "cash_out_sent.amount Major",
            "payment.amount Major",
            "payment_completed.amount Major",
            "refund.amount Major",
            "refund_completed.amount Major",
            "settlement.amount Minor",
            "settlement_completed.amount Minor",
        ]
    );
    assert_eq!(
        sensitive,
        [
            "cash_out.bank_card",
            "payment.payer_account",
            "payment.card_no"
        ]
    );
}

#[test]
fn every_field_reaches_the_catalog() {
    let catalog = Folder::right().load().unwrap();
    assert_eq!(
        catalog.sources,
        ["accounting-db", "business-events", "settlement-db"]
    );
    let settlement = catalog.table(catalog.table_id("settlement").unwrap());
    assert_eq!(settlement.system, "settlement");
    assert_eq!(catalog.source(settlement.source), "settlement-db");
    assert_eq!(settlement.primary_key, [0]);
    assert_eq!(settlement.lookback, Duration::seconds(30 * 86_400));
    assert_eq!(settlement.link_patience, Duration::seconds(300));
    assert_eq!(settlement.changed_at, Some(8));
    let state = settlement.state.as_ref().unwrap();
    assert_eq!((state.column, state.values.len()), (7, 2));
    assert_eq!(state.final_values, ["SETTLED"]);
    assert_eq!(
        settlement.columns[5].kind,
        ColumnType::Decimal {
            precision: 9,
            scale: 6
        }
    );
    assert!(settlement.columns[6].sensitive && !settlement.columns[5].sensitive);
    assert!(settlement.columns[2].nullable && !settlement.columns[1].nullable);
    let amount = settlement.columns[4].money.as_ref().unwrap();
    assert_eq!((amount.unit, amount.minor_digits), (MoneyUnit::Minor, 2));
    let (batch, order) = (
        catalog.entity_id("batch").unwrap(),
        catalog.entity_id("order").unwrap(),
    );
    let direct = |entity, columns: &[usize]| EntityPath::Direct {
        entity,
        columns: columns.to_vec(),
    };
    assert_eq!(
        settlement.entities,
        [direct(batch, &[2, 3]), direct(order, &[1])]
    );
    let entry = catalog.table(catalog.table_id("entry").unwrap());
    let target = catalog.table_id("settlement").unwrap();
    assert_eq!(
        entry.entities,
        [EntityPath::Through {
            entity: order,
            columns: vec![1],
            target
        }]
    );
    assert_eq!(
        entry.columns[4].money.as_ref().unwrap().currency,
        Currency::Column("currency".into())
    );
    assert_eq!((entry.state.is_none(), entry.changed_at), (true, None));
    assert_eq!(entry.lookback, Duration::seconds(90 * 86_400));
    assert_eq!(entry.link_patience, Duration::seconds(600));
    assert_eq!(catalog.entity(order).max_rows, 500);
}

#[test]
fn an_event_has_its_message_id_first_and_as_its_key() {
    let catalog = Folder::right().load().unwrap();
    let settled = catalog.table(catalog.table_id("settled").unwrap());
    assert_eq!(settled.kind, TableKind::Events);
    assert_eq!(
        (settled.columns[0].name.as_str(), settled.columns[0].kind),
        ("message_id", ColumnType::Text)
    );
    assert_eq!(
        (&settled.primary_key, settled.changed_at),
        (&vec![0], Some(2))
    );
}

#[test]
fn where_rows_and_messages_come_from_reaches_the_catalog() {
    let folder = Folder::right();
    let plain = folder.load().unwrap();
    let settlement = plain.table(plain.table_id("settlement").unwrap());
    assert_eq!(settlement.from, [TablePattern::of_name("settlement")]);
    assert_eq!((settlement.shard, settlement.zone_seconds), (None, None));
    assert_eq!(
        (settlement.from_declared, &settlement.message),
        (false, &None)
    );
    let path = |text: &str| MessageField::parse(text).unwrap();
    let settled = plain.table(plain.table_id("settled").unwrap());
    let message = settled.message.as_ref().unwrap();
    assert_eq!(message.committed_at, path("$.committed_at"));
    let own = ["$.message_id", "$.order_no", "$.occurred_at"];
    assert_eq!(message.columns, own.map(path));
    assert_eq!(message.time, TimeForm::Rfc3339);
    folder.replace(
        "settlement.yaml",
        "lookback: 30d",
        "from: [ \"s_*.settle_*\", old.settlement ]\nshard: batch_no\ntimes: { zone: \"+08:00\" }",
    );
    folder.replace(
        "settlement.yaml",
        "primary_key: [settlement_no]",
        "primary_key: [settlement_no, batch_no]",
    );
    folder.replace(
        "settlement.yaml",
        "batch_no: { type: text, nullable: true }",
        "batch_no: text",
    );
    folder.replace(
        "entry.yaml",
        "by: [settlement_no]",
        "by: [settlement_no, currency]",
    );
    folder.replace(
        "settled.yaml",
        "changed_at:",
        "json: { message_id: header:ce_id, committed_at: message, time: micros, columns: { order_no: $.data.orderNo } }\n\
         changed_at:",
    );
    let catalog = folder.load().unwrap();
    let settlement = catalog.table(catalog.table_id("settlement").unwrap());
    let patterns: Vec<String> = settlement.from.iter().map(ToString::to_string).collect();
    assert_eq!(patterns, ["s_*.settle_*", "old.settlement"]);
    assert!(settlement.from_declared);
    assert_eq!(
        (settlement.shard, settlement.zone_seconds),
        (Some(2), Some(28_800))
    );
    let shape = catalog.storage_shape();
    assert!(
        shape.contains("\n  shard batch_no\n  zone 28800\n"),
        "{shape}"
    );
    let settled = catalog.table(catalog.table_id("settled").unwrap());
    let message = settled.message.as_ref().unwrap();
    assert_eq!(message.message_id, path("header:ce_id"));
    assert_eq!(message.committed_at, MessageField::Time);
    let columns = ["header:ce_id", "$.data.orderNo", "$.occurred_at"];
    assert_eq!(message.columns, columns.map(path));
    assert_eq!(message.time, TimeForm::Micros);
}

#[test]
fn the_examples_of_the_readme_load_together() {
    let readme = std::fs::read_to_string(schemas().join("README.md")).unwrap();
    let folder = Folder::empty();
    let mut count = 0;
    for block in readme.split("```yaml\n# ").skip(1) {
        let (name, rest) = block.split_once('\n').unwrap();
        folder.write(name, rest.split("```").next().unwrap());
        count += 1;
    }
    assert_eq!(count, 6);
    assert_eq!(loaded(folder.path()).tables.len(), 5);
}

#[test]
fn the_fingerprint_follows_what_shapes_stored_rows_only() {
    let right = Folder::right().load().unwrap();
    let changed = |file: &str, old: &str, new: &str| {
        let folder = Folder::right();
        folder.replace(file, old, new);
        folder.load().unwrap().fingerprint()
    };
    let table = "settlement.yaml";
    assert_eq!(
        right.fingerprint(),
        changed(table, "lookback: 30d", "lookback: 31d")
    );
    assert_eq!(
        right.fingerprint(),
        changed(table, "unit: minor", "unit: major")
    );
    assert_eq!(
        right.fingerprint(),
        changed(table, "lookback: 30d", "from: \"*.settlement_*\"")
    );
    assert_eq!(
        right.fingerprint(),
        changed(
            table,
            "payer: { type: text, sensitive: true }",
            "payer: text"
        )
    );
    let shaping = [
        (table, "rate: decimal(9,6)", "rate: decimal(9,5)"),
        (table, "  rate:", "  share:"),
        (table, "source: settlement-db", "source: other-db"),
        (table, "  batch: [batch_no, batch_day]\n", ""),
        (table, "lookback: 30d", "times: { zone: \"+08:00\" }"),
        ("entities.yaml", "[trim, upper]", "[trim]"),
        ("entities.yaml", "key: [order_no]", "key: [number]"),
        ("settled.yaml", "event: settled", "event: settled_once"),
        ("entry.yaml", "[entry_no]", "[entry_no, position]"),
        (
            "entry.yaml",
            "{ through: settlement, by: [settlement_no] }",
            "[settlement_no]",
        ),
    ];
    let mut seen = std::collections::BTreeSet::from([right.fingerprint()]);
    for (file, old, new) in shaping {
        assert!(seen.insert(changed(file, old, new)), "{old} → {new}");
    }
    assert_eq!(right.fingerprint().len(), 64);
}

#[test]
fn the_storage_shape_is_stable_text() {
    let folder = Folder::empty();
    folder.write("entities.yaml", "centinel: entities/1\nentities: { order: { key: [order_no], normalise: [strip_zeros] } }\n");
    folder.write(
        "a.yaml",
        "centinel: schema/1\ntable: a\nsystem: s\nsource: s-db\nprimary_key: [id]\nentities: { order: [order_no] }\n\
         columns: { id: integer, order_no: text, amount: \"decimal(18,2)\" }\n",
    );
    folder.write(
        "b.yaml",
        "centinel: schema/1\nevent: b\nsystem: s\nsource: s-db\nentities: { order: { through: a, by: [a_id] } }\n\
         columns: { a_id: integer, on: date }\n",
    );
    let expected = "\
shape/1
source s-db
entity order key=order_no normalise=strip_zeros
table a rows source=s-db
  column id integer
  column order_no text
  column amount decimal(18,2)
  key id
  entity order direct by=order_no
table b events source=s-db
  column message_id text
  column a_id integer
  column on date
  key message_id
  entity order through=a by=a_id
";
    assert_eq!(folder.load().unwrap().storage_shape(), expected);
}

#[test]
fn the_shipped_states_follow_each_other_as_the_platform_has_them() {
    let catalog = loaded(schemas());
    let table = |name: &str| catalog.table(catalog.table_id(name).unwrap());
    let refund = table("refund").state.as_ref().unwrap();
    assert!(refund.may_follow("CREATED", "PROCESSING"));
    assert!(refund.may_follow("SUCCESS", "SUCCESS"));
    assert!(!refund.may_follow("CREATED", "SUCCESS"));
    assert!(!refund.may_follow("SUCCESS", "FAILED"));
    for table in catalog.tables.iter().filter(|table| table.state.is_some()) {
        let state = table.state.as_ref().unwrap();
        let transitions = state.transitions.as_ref().unwrap();
        for value in &state.values {
            let left = transitions.contains_key(value);
            let is_final = state.final_values.contains(value);
            assert!(left || is_final, "{} {value}", table.name);
        }
        assert!(table.flow.is_some(), "{}", table.name);
    }
}

#[test]
fn a_flow_names_whose_money_it_is() {
    let catalog = loaded(schemas());
    let table = catalog.table(catalog.table_id("accounting_entry").unwrap());
    let flow = table.flow.as_ref().unwrap();
    let name = |column: usize| table.columns[column].name.as_str();
    assert_eq!(name(flow.amount), "amount");
    assert_eq!(flow.account.map(name), Some("account_no"));
    let direction = flow.direction.as_ref().unwrap();
    assert_eq!(name(direction.column), "direction");
    assert_eq!(direction.plus, ["CREDIT"]);
    assert_eq!(direction.minus, ["DEBIT"]);
    assert_eq!(flow.states, ["BOOKED"]);
}

/// What a guarded table brings is as strict as the table about its keys, and hides what the table hides.
#[test]
fn histories_and_plans_have_the_columns_of_their_table() {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(schemas()).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("\nguard:\n", "\nguard:\n  plans: repair-plans\n");
        std::fs::write(folder.path().join(path.file_name().unwrap()), text).unwrap();
    }
    let catalog = loaded(folder.path());
    let mut seen = 0;
    for (index, table) in catalog.tables.iter().enumerate() {
        let id = TableId(index as u16);
        let (Some(history), Some(planned)) = (catalog.history_of(id), catalog.planned_for(id))
        else {
            continue;
        };
        for brought in [catalog.table(history), catalog.table(planned)] {
            let column = |name: &str| &brought.columns[brought.column_index(name).unwrap()];
            for named in table.named_in_history() {
                let own = &table.columns[named];
                let found = column(&own.name);
                assert_eq!(
                    (found.kind, found.nullable, found.sensitive),
                    (own.kind, own.nullable, own.sensitive),
                    "{} of {}",
                    own.name,
                    brought.name
                );
                seen += 1;
            }
            for own in &table.columns {
                for image in ["before", "after"] {
                    let image = column(&format!("{image}_{}", own.name));
                    assert!(image.nullable, "{}", image.name);
                    assert_eq!(image.sensitive, own.sensitive, "{}", image.name);
                    assert_eq!(image.kind, own.kind, "{}", image.name);
                }
            }
            let path = brought.entities.first().unwrap();
            assert!(!brought.columns[path.columns()[0]].nullable);
        }
        assert!(catalog.announces_plans(catalog.table(planned).source));
        assert!(!catalog.announces_plans(table.source));
    }
    assert!(seen > 10, "{seen}");
}
