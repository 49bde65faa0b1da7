/* ---
id: refunded-after-paid
title: Nothing is refunded before it is paid
entity: order
severity: error
key: [order_no, refund_no]
amount: amount
currency: CNY
owner: refund
tags: [quality, time-order, loss-4]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: See whether a clock is wrong; otherwise money went back that had not come in.
--- */
SELECT r.order_no, r.refund_no, r.amount, p.paid_at, r.refunded_at
FROM refund r
JOIN payment p ON p.order_no = r.order_no AND p.payment_no = r.payment_no
WHERE r.status = 'SUCCESS' AND p.status = 'PAID' AND r.refunded_at < p.paid_at
