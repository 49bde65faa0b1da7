/* ---
id: paid-order-is-settled
title: Every paid order is settled
entity: order
severity: error
key: [order_no]
amount: paid
currency: CNY
owner: settlement
tags: [completeness, loss-2]
settle: 3s
retries: 1
retry_interval: 2s
status: stable
runbook: Look for the order in the settlement system's inbox; if the payment never reached it, send it again.
--- */
SELECT p.order_no, p.paid
FROM (SELECT order_no, SUM(amount) AS paid
      FROM payment WHERE status = 'PAID' GROUP BY order_no) p
WHERE NOT EXISTS (SELECT 1 FROM settlement s
                  WHERE s.order_no = p.order_no AND s.status = 'SETTLED' AND s.kind = 'PAYMENT')
