/* ---
id: payment-number-is-unique
title: No number of a payment stands twice, in whatever order
entity: order
severity: error
key: [order_no, payment_no]
amount: repeated
currency: CNY
owner: payment
tags: [quality, uniqueness, loss-3]
settle: 0s
retries: 0
status: stable
runbook: A payment that stands twice is settled twice; find out which copy is the system's own, and how the other came in.
--- */
SELECT MIN(order_no) AS order_no, payment_no, COUNT(*) AS copies, COUNT(DISTINCT order_no) AS orders,
       SUM(ABS(amount)) - MAX(ABS(amount)) AS repeated
FROM payment
GROUP BY payment_no
HAVING COUNT(*) > 1
