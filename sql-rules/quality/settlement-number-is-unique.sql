/* ---
id: settlement-number-is-unique
title: No number of a settlement stands twice, in whatever order
entity: order
severity: error
key: [order_no, settlement_no]
amount: repeated
currency: CNY
owner: settlement
tags: [quality, uniqueness, loss-3]
settle: 0s
retries: 0
status: stable
runbook: A settlement that stands twice is cashed out twice; find out which copy is the system's own, and how the other came in.
--- */
SELECT MIN(order_no) AS order_no, settlement_no, COUNT(*) AS copies, COUNT(DISTINCT order_no) AS orders,
       SUM(ABS(amount)) - MAX(ABS(amount)) AS repeated
FROM settlement
GROUP BY settlement_no
HAVING COUNT(*) > 1
