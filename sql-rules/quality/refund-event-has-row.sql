/* ---
id: refund-event-has-row
title: Every refund announced as completed has a row
entity: order
severity: critical
key: [order_no, refund_no]
amount: event_amount
currency: CNY
owner: refund
tags: [quality, reference, loss-2]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Others acted on the event; find the row, or take back what they did.
--- */
SELECT e.order_no, e.refund_no, e.event_amount
FROM (SELECT order_no, refund_no, MAX(amount) AS event_amount
      FROM refund_completed GROUP BY order_no, refund_no) e
WHERE NOT EXISTS (SELECT 1 FROM refund r
                  WHERE r.order_no = e.order_no AND r.refund_no = e.refund_no)
