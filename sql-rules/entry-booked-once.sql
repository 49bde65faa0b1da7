/* ---
id: entry-booked-once
title: No settlement is booked twice on the same side of the same account
entity: order
severity: critical
key: [order_no, settlement_no, account_no, direction]
amount: overbooked
currency: CNY
owner: accounting
tags: [idempotency, loss-3]
settle: 2m
retries: 3
retry_interval: 10s
trip: { points: [cash_out], by: order }
status: stable
runbook: Reverse the later entries and find out why accounting did not recognise the repeated message.
--- */
SELECT s.order_no, s.settlement_no, e.account_no, e.direction, e.entries, e.booked, e.overbooked
FROM settlement s
JOIN (SELECT settlement_no, account_no, direction, COUNT(*) AS entries, SUM(amount) AS booked,
             SUM(amount) - MAX(amount) AS overbooked
      FROM accounting_entry WHERE status = 'BOOKED'
      GROUP BY settlement_no, account_no, direction
      HAVING COUNT(*) > 1) e ON e.settlement_no = s.settlement_no
