/* ---
id: refund-is-settled-back
title: Every refund is taken back from the merchant's settlement
entity: order
severity: error
key: [order_no]
amount: difference
currency: CNY
owner: settlement
tags: [balance, loss-2]
settle: 3s
retries: 1
retry_interval: 2s
trip: { points: [cash_out], by: order }
status: stable
runbook: Without the settlement of kind REFUND the merchant keeps the refunded money; have it created before the next cash-out.
--- */
SELECT r.order_no, r.refunded, COALESCE(s.settled_back, 0) AS settled_back,
       r.refunded + COALESCE(s.settled_back, 0) AS difference
FROM (SELECT order_no, SUM(amount) AS refunded
      FROM refund WHERE status = 'SUCCESS' GROUP BY order_no) r
LEFT JOIN (SELECT order_no, SUM(amount) AS settled_back
           FROM settlement WHERE status = 'SETTLED' AND kind = 'REFUND'
           GROUP BY order_no) s ON s.order_no = r.order_no
WHERE r.refunded + COALESCE(s.settled_back, 0) <> 0
