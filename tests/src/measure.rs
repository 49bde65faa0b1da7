//! What the benches measure alike: the same tables and rules, stages, the machine.

use centinel_engine::detect::Stages;
use data_fixtures::Source;

/// The tables that are read, by their sources.
pub const SOURCES: [Source; 4] = [
    Source::PaymentDb,
    Source::RefundDb,
    Source::SettlementDb,
    Source::AccountingDb,
];

/// The rules that are asked.
pub const RULES: [&str; 20] = [
    "settled-equals-paid-minus-refunded",
    "paid-order-is-settled",
    "refunded-not-above-paid",
    "order-paid-once",
    "refund-is-settled-back",
    "settlement-settled-once",
    "settlement-has-payment",
    "settlement-reaches-final-state",
    "refund-reaches-final-state",
    "payment-reaches-final-state",
    "voucher-and-cash-are-not-accounted",
    "settlement-entries-balance",
    "settlement-entries-add-up",
    "settlement-is-accounted",
    "accounting-adds-up-to-payment",
    "entry-booked-once",
    "entry-account-is-right",
    "entry-direction-is-right",
    "refund-belongs-to-paid-payment",
    "payment-amount-is-positive",
];

/// How far a run had come at one commit.
#[derive(Clone, Copy)]
pub struct Mark {
    /// Changes read.
    pub changes: u64,
    /// Since the start.
    pub seconds: f64,
    /// Processor time until then.
    pub stages: Stages,
}

/// Prints where the processor time between two marks went.
pub fn shares(what: &str, from: &Stages, to: &Stages, changes: u64) {
    let spent: Vec<(&str, f64)> = to
        .named()
        .iter()
        .zip(from.named())
        .map(|((name, to), (_, from))| (*name, (*to - from).as_secs_f64()))
        .collect();
    let total: f64 = spent.iter().map(|(_, seconds)| seconds).sum();
    let shown: Vec<String> = spent
        .iter()
        .map(|(name, seconds)| format!("{name} {:.0} %", seconds / total * 100.0))
        .collect();
    println!(
        "{what}: {:.2} µs a change: {}",
        total * 1e6 / changes.max(1) as f64,
        shown.join(", ")
    );
}

/// Cores, processor and memory.
pub fn machine() -> String {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = memory
        .lines()
        .next()
        .unwrap_or_default()
        .replace("MemTotal:", "");
    format!(
        "{cores} cores of{}, memory {}",
        model.replace("\t:", ""),
        total.trim()
    )
}

/// The most memory that this process ever held, or since it was last [forgotten](forget_peak_memory).
pub fn peak_memory() -> String {
    memory("VmHWM:")
}

/// The memory that this process holds now.
pub fn resident_memory() -> String {
    memory("VmRSS:")
}

/// Lets the peak begin anew at what is held now, where the system allows that.
pub fn forget_peak_memory() {
    // Otherwise the peak is that of the whole life, which is never less.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn memory(field: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = value.and_then(|value| value.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.map_or_else(
        || "unknown".to_owned(),
        |kilobytes| format!("{} MiB", kilobytes >> 10),
    )
}
