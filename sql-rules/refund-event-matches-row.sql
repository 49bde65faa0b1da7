/* ---
id: refund-event-matches-row
title: The refund's row holds the amount that its completion announced
entity: order
severity: critical
key: [order_no, refund_no]
amount: difference
currency: CNY
owner: refund
tags: [consistency, loss-1, loss-5]
settle: 2m
retries: 3
retry_interval: 10s
trip: { points: [refund], by: order }
status: stable
runbook: Ask the channel what was really returned; if the row was changed by hand, find the ticket.
--- */
SELECT r.order_no, r.refund_no, r.amount AS row_amount, e.event_amount,
       r.amount - e.event_amount AS difference
FROM refund r
JOIN (SELECT order_no, refund_no, MAX(amount) AS event_amount
      FROM refund_completed GROUP BY order_no, refund_no) e
  ON e.order_no = r.order_no AND e.refund_no = r.refund_no
WHERE r.status = 'SUCCESS' AND r.amount <> e.event_amount
