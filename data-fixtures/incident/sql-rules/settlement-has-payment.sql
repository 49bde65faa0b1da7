/* ---
id: settlement-has-payment
title: Nothing is settled that was not paid
entity: order
severity: critical
key: [order_no]
amount: settled
currency: CNY
owner: settlement
tags: [completeness, loss-2]
settle: 3s
retries: 1
retry_interval: 2s
trip: { points: [settlement, cash_out], by: order }
status: stable
runbook: Hold the merchant's next cash-out until it is known where the settlement came from.
--- */
SELECT s.order_no, s.settled
FROM (SELECT order_no, SUM(amount) AS settled
      FROM settlement WHERE status = 'SETTLED' GROUP BY order_no) s
WHERE NOT EXISTS (SELECT 1 FROM payment p
                  WHERE p.order_no = s.order_no AND p.status = 'PAID')
