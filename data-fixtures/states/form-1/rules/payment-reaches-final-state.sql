/* ---
id: payment-reaches-final-state
title: Every payment is paid or closed within five minutes
entity: order
severity: warn
key: [order_no, payment_no]
amount: amount
currency: CNY
owner: payment
tags: [final-state, loss-2]
settle: 0s
retries: 3
retry_interval: 10s
since: due
status: stable
runbook: Query the channel; if it took the money, the payment must become PAID, otherwise CLOSED.
--- */
SELECT order_no, payment_no, status, amount, updated_at + INTERVAL '5 minutes' AS due
FROM payment
WHERE status = 'CREATED' AND updated_at < as_of() - INTERVAL '5 minutes'
