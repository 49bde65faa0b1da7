/* ---
id: settlement-settled-once
title: No order is settled to the merchant twice
entity: order
severity: critical
key: [order_no]
amount: overpaid
currency: CNY
owner: settlement
tags: [idempotency, loss-3]
settle: 2m
retries: 3
retry_interval: 10s
trip: { points: [settlement, cash_out], by: order }
status: stable
runbook: Keep the settlement that the payment's completion caused and reverse the others before they are cashed out.
--- */
SELECT order_no, COUNT(*) AS settlements, SUM(amount) AS settled,
       SUM(amount) - MAX(amount) AS overpaid
FROM settlement
WHERE status = 'SETTLED' AND kind = 'PAYMENT'
GROUP BY order_no
HAVING COUNT(*) > 1
