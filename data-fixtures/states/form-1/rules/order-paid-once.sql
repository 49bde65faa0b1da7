/* ---
id: order-paid-once
title: No order is paid twice
entity: order
severity: critical
key: [order_no]
amount: overcharged
currency: CNY
owner: payment
tags: [idempotency, loss-3]
settle: 2m
retries: 3
retry_interval: 10s
trip: { points: [settlement, cash_out], by: order }
status: stable
runbook: Find out which payment the customer meant, and refund the others.
--- */
SELECT order_no, COUNT(*) AS payments, SUM(amount) AS paid,
       SUM(amount) - MAX(amount) AS overcharged
FROM payment
WHERE status = 'PAID'
GROUP BY order_no
HAVING COUNT(*) > 1
