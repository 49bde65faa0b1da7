/* ---
id: refund-completed-once
title: No refund is completed twice
entity: order
severity: critical
key: [order_no, refund_no]
amount: overpaid
currency: CNY
owner: refund
tags: [idempotency, loss-3]
settle: 2m
retries: 3
retry_interval: 10s
trip: { points: [refund], by: order }
status: stable
runbook: Each message may mean that the channel paid; compare with the channel's statement and recall what was paid too often.
--- */
SELECT order_no, refund_no, COUNT(*) AS completions, SUM(amount) AS announced,
       SUM(amount) - MAX(amount) AS overpaid
FROM refund_completed
GROUP BY order_no, refund_no
HAVING COUNT(*) > 1
