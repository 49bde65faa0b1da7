/* ---
id: merchant-is-the-same-everywhere
title: All systems name the merchant that the payment names
entity: order
severity: critical
key: [order_no, system, number]
amount: amount
currency: CNY
owner: payment
tags: [quality, reference, loss-2]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Hold the cash-outs of both merchants until it is known whose the money is.
--- */
SELECT s.order_no, 'settlement' AS system, s.settlement_no AS number, s.merchant_no, p.merchant_no AS paid_to,
       ABS(s.amount) AS amount
FROM settlement s
JOIN (SELECT order_no, MIN(merchant_no) AS merchant_no FROM payment GROUP BY order_no) p ON p.order_no = s.order_no
WHERE s.merchant_no <> p.merchant_no
UNION ALL
SELECT r.order_no, 'refund' AS system, r.refund_no AS number, r.merchant_no, p.merchant_no AS paid_to, r.amount
FROM refund r
JOIN (SELECT order_no, MIN(merchant_no) AS merchant_no FROM payment GROUP BY order_no) p ON p.order_no = r.order_no
WHERE r.merchant_no <> p.merchant_no
UNION ALL
SELECT b.order_no, 'billing' AS system, b.bill_no AS number, b.merchant_no, p.merchant_no AS paid_to, b.fee AS amount
FROM billing b
JOIN (SELECT order_no, MIN(merchant_no) AS merchant_no FROM payment GROUP BY order_no) p ON p.order_no = b.order_no
WHERE b.merchant_no <> p.merchant_no
