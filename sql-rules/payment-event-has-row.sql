/* ---
id: payment-event-has-row
title: Every payment announced as completed is paid in the payment system
entity: order
severity: critical
key: [order_no, payment_no]
amount: event_amount
currency: CNY
owner: payment
tags: [completeness, loss-2]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: The customer may have paid for an order that the platform thinks unpaid; look the payment up at the channel.
--- */
SELECT e.order_no, e.payment_no, e.event_amount
FROM (SELECT order_no, payment_no, MAX(amount) AS event_amount
      FROM payment_completed GROUP BY order_no, payment_no) e
WHERE NOT EXISTS (SELECT 1 FROM payment p
                  WHERE p.order_no = e.order_no AND p.payment_no = e.payment_no AND p.status = 'PAID')
