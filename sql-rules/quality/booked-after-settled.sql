/* ---
id: booked-after-settled
title: Nothing is booked before it is settled
entity: order
severity: error
key: [order_no, entry_no]
amount: amount
currency: CNY
owner: accounting
tags: [quality, time-order, loss-4]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: See whether a clock is wrong; otherwise the entry belongs to another settlement.
--- */
SELECT s.order_no, e.entry_no, s.settlement_no, e.amount, s.settled_at, e.booked_at
FROM accounting_entry e
JOIN settlement s ON s.settlement_no = e.settlement_no
WHERE s.status = 'SETTLED' AND e.booked_at < s.settled_at
