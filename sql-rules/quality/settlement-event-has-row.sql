/* ---
id: settlement-event-has-row
title: Every settlement announced as completed has a row
entity: order
severity: critical
key: [order_no, settlement_no]
amount: event_amount
currency: CNY
owner: settlement
tags: [quality, reference, loss-2]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Others acted on the event; find the row, or take back what they did.
--- */
SELECT e.order_no, e.settlement_no, e.event_amount
FROM (SELECT order_no, settlement_no, MAX(amount) AS event_amount
      FROM settlement_completed GROUP BY order_no, settlement_no) e
WHERE NOT EXISTS (SELECT 1 FROM settlement r
                  WHERE r.order_no = e.order_no AND r.settlement_no = e.settlement_no)
