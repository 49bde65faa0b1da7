/* ---
id: order-billed-once
title: No order is billed twice
entity: order
severity: error
key: [order_no]
amount: overcharged
currency: CNY
owner: billing
tags: [quality, uniqueness, loss-3]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Void the later bill before the merchant is charged.
--- */
SELECT order_no, COUNT(*) AS bills, SUM(fee) - MAX(fee) AS overcharged
FROM billing
WHERE status = 'BILLED'
GROUP BY order_no
HAVING COUNT(*) > 1
