/* ---
id: payment-event-matches-row
title: The payment's row holds the amount that its completion announced
entity: order
severity: critical
key: [order_no, payment_no]
amount: difference
currency: CNY
owner: payment
tags: [consistency, loss-1, loss-5]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: If no event explains the row's amount, somebody changed it by hand; ask the channel what the customer really paid.
--- */
SELECT p.order_no, p.payment_no, p.amount AS row_amount, e.event_amount,
       p.amount - e.event_amount AS difference
FROM payment p
JOIN (SELECT order_no, payment_no, MAX(amount) AS event_amount
      FROM payment_completed GROUP BY order_no, payment_no) e
  ON e.order_no = p.order_no AND e.payment_no = p.payment_no
WHERE p.status = 'PAID' AND p.amount <> e.event_amount
