/* ---
id: settled-equals-paid-minus-refunded
title: The settled amount is what was paid less what was refunded
entity: order
severity: critical
key: [order_no]
amount: difference
currency: CNY
owner: settlement
tags: [balance, loss-1, loss-5]
settle: 3s
retries: 1
retry_interval: 2s
trip: { points: [settlement, cash_out], by: order }
status: stable
runbook: Compare the settlement rows with the payment and its refunds; a factor of 100 means fen taken for yuan or the other way round.
--- */
SELECT p.order_no, p.paid, COALESCE(r.refunded, 0) AS refunded, s.settled,
       p.paid - COALESCE(r.refunded, 0) - s.settled AS difference
FROM (SELECT order_no, SUM(amount) AS paid
      FROM payment WHERE status = 'PAID' GROUP BY order_no) p
JOIN (SELECT order_no, SUM(amount) AS settled
      FROM settlement WHERE status = 'SETTLED' GROUP BY order_no
      HAVING SUM(CASE WHEN kind = 'PAYMENT' THEN 1 ELSE 0 END) > 0) s ON s.order_no = p.order_no
LEFT JOIN (SELECT order_no, SUM(amount) AS refunded
           FROM refund WHERE status = 'SUCCESS' GROUP BY order_no) r ON r.order_no = p.order_no
WHERE p.paid - COALESCE(r.refunded, 0) <> s.settled
