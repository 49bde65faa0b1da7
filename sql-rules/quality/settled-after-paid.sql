/* ---
id: settled-after-paid
title: Nothing is settled before it is paid
entity: order
severity: error
key: [order_no, settlement_no]
amount: amount
currency: CNY
owner: settlement
tags: [quality, time-order, loss-4]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: See whether a clock is wrong; otherwise the settlement was made for another payment.
--- */
SELECT s.order_no, s.settlement_no, s.amount, p.paid_at, s.settled_at
FROM settlement s
JOIN (SELECT order_no, MIN(paid_at) AS paid_at
      FROM payment WHERE status = 'PAID' GROUP BY order_no) p ON p.order_no = s.order_no
WHERE s.status = 'SETTLED' AND s.kind = 'PAYMENT' AND s.settled_at < p.paid_at
