/* ---
id: refund-belongs-to-paid-payment
title: Money is refunded only for a payment of the same order that was paid
entity: order
severity: critical
key: [order_no, refund_no]
amount: amount
currency: CNY
owner: refund
tags: [reference, loss-4]
settle: 2m
retries: 3
retry_interval: 10s
trip: { points: [refund], by: order }
status: stable
runbook: Stop refunds of the order; a refund of a foreign or unpaid payment returns money that never came in.
--- */
SELECT r.order_no, r.refund_no, r.payment_no, r.amount
FROM refund r
WHERE r.status = 'SUCCESS'
  AND NOT EXISTS (SELECT 1 FROM payment p
                  WHERE p.order_no = r.order_no AND p.payment_no = r.payment_no AND p.status = 'PAID')
