/* ---
id: refunded-not-above-paid
title: No order is refunded more than was paid for it
entity: order
severity: critical
key: [order_no]
amount: excess
currency: CNY
owner: refund
tags: [limit, loss-4]
settle: 2m
retries: 3
retry_interval: 10s
trip: { points: [refund, settlement, cash_out], by: order }
status: stable
runbook: Stop further refunds of the order and ask the customer's bank to return the excess.
--- */
SELECT r.order_no, COALESCE(p.paid, 0) AS paid, r.refunded,
       r.refunded - COALESCE(p.paid, 0) AS excess
FROM (SELECT order_no, SUM(amount) AS refunded
      FROM refund WHERE status = 'SUCCESS' GROUP BY order_no) r
LEFT JOIN (SELECT order_no, SUM(amount) AS paid
           FROM payment WHERE status = 'PAID' GROUP BY order_no) p ON p.order_no = r.order_no
WHERE r.refunded > COALESCE(p.paid, 0)
