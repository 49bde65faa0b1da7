/* ---
id: sent-after-settled
title: No cash-out is sent before what it pays is settled
entity: cash_out
severity: error
key: [cash_out_no, settlement_no]
amount: amount
currency: CNY
owner: cash-out
tags: [quality, time-order, loss-4]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Money went out before it was owed; see who released the cash-out.
--- */
SELECT c.cash_out_no, s.settlement_no, s.amount, s.settled_at, c.sent_at
FROM cash_out c
JOIN settlement s ON s.cash_out_no = c.cash_out_no
WHERE c.status <> 'FAILED' AND c.sent_at < s.settled_at
