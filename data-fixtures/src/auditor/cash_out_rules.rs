//! Rules about one cash-out.

use crate::auditor::Findings;
use crate::auditor::ledger::CashOutRows;
use crate::row::Status;
use crate::table::Table;

pub(super) fn check(rows: &CashOutRows, findings: &mut Findings) {
    let Some(cash_out) = &rows.cash_out else {
        return;
    };
    let settled: i64 = rows
        .settlements
        .values()
        .filter(|row| row.status == Status::Settled)
        .map(|row| row.amount)
        .sum();
    findings.add_if(
        cash_out.status != Status::Failed && cash_out.amount != settled,
        "cash-out-equals-settlements",
        cash_out.amount - settled,
        rows.newest.of(&[Table::CashOut, Table::Settlement]),
    );
    findings.add_if(
        matches!(cash_out.status, Status::Created | Status::Sent),
        "cash-out-reaches-final-state",
        cash_out.amount,
        rows.newest.of(&[Table::CashOut]),
    );
    let told = rows.events.iter().map(|event| event.amount).max();
    if let Some(told) = told.filter(|_| matches!(cash_out.status, Status::Sent | Status::Success)) {
        findings.add_if(
            told != cash_out.amount,
            "cash-out-event-matches-row",
            cash_out.amount - told,
            rows.newest.of(&[Table::CashOut, Table::CashOutSent]),
        );
    }
}
