/* ---
id: settlement-event-matches-row
title: The settlement's row holds the amount that its completion announced
entity: order
severity: critical
key: [order_no, settlement_no]
amount: difference
currency: CNY
owner: settlement
tags: [consistency, loss-1, loss-5]
settle: 2m
retries: 3
retry_interval: 10s
trip: { points: [cash_out], by: order }
status: stable
runbook: Accounting books what the event says and cash-out pays what the row says; make them one before the next cash-out.
--- */
SELECT s.order_no, s.settlement_no, s.amount AS row_amount, e.event_amount,
       s.amount - e.event_amount AS difference
FROM settlement s
JOIN (SELECT order_no, settlement_no, MAX(amount) AS event_amount
      FROM settlement_completed GROUP BY order_no, settlement_no) e
  ON e.order_no = s.order_no AND e.settlement_no = s.settlement_no
WHERE s.status = 'SETTLED' AND s.amount <> e.event_amount
