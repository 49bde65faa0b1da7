/* ---
id: payment-amount-is-positive
title: Every payment is of more than nothing
entity: order
severity: error
key: [order_no, payment_no]
amount: amount
currency: CNY
owner: payment
tags: [limit, loss-4]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: See which discount or repair made the amount; an order for nothing must not reach the channel.
--- */
SELECT order_no, payment_no, channel, amount
FROM payment
WHERE status = 'PAID' AND amount <= 0
