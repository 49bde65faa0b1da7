/* ---
id: bill-has-payment
title: Every bill is of an order that has a payment
entity: order
severity: error
key: [order_no, bill_no]
amount: fee
currency: CNY
owner: billing
tags: [quality, reference, loss-2]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Void the bill, and find out where its order number came from.
--- */
SELECT b.order_no, b.bill_no, b.fee
FROM billing b
WHERE NOT EXISTS (SELECT 1 FROM payment p WHERE p.order_no = b.order_no)
