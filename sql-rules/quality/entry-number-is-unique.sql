/* ---
id: entry-number-is-unique
title: No number of an accounting entry stands twice, in whatever settlement
entity: order
severity: error
key: [order_no, entry_no]
amount: repeated
currency: CNY
owner: accounting
tags: [quality, uniqueness, loss-3]
settle: 0s
retries: 0
status: stable
runbook: Entries are only ever added; one that stands twice was loaded twice.
--- */
SELECT MIN(s.order_no) AS order_no, e.entry_no, COUNT(*) AS copies, SUM(e.amount) - MAX(e.amount) AS repeated
FROM accounting_entry e
JOIN settlement s ON s.settlement_no = e.settlement_no
GROUP BY e.entry_no
HAVING COUNT(*) > 1
