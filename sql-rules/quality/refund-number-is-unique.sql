/* ---
id: refund-number-is-unique
title: No number of a refund stands twice, in whatever order
entity: order
severity: error
key: [order_no, refund_no]
amount: repeated
currency: CNY
owner: refund
tags: [quality, uniqueness, loss-3]
settle: 0s
retries: 0
status: stable
runbook: A refund that stands twice is added up twice; find out which copy is the system's own, and how the other came in.
--- */
SELECT MIN(order_no) AS order_no, refund_no, COUNT(*) AS copies, COUNT(DISTINCT order_no) AS orders,
       SUM(ABS(amount)) - MAX(ABS(amount)) AS repeated
FROM refund
GROUP BY refund_no
HAVING COUNT(*) > 1
