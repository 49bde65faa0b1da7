/* ---
id: accounting-adds-up-to-payment
title: What clearing took in and gave out for an order is what was paid less what was refunded
entity: order
severity: error
key: [order_no]
amount: difference
currency: CNY
owner: accounting
tags: [balance, loss-1, loss-5]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Follow the order from payment over settlement to its CLEARING entries; the first step that differs is the cause.
--- */
SELECT p.order_no, p.paid, COALESCE(r.refunded, 0) AS refunded, a.cleared,
       a.cleared - (p.paid - COALESCE(r.refunded, 0)) AS difference
FROM (SELECT order_no, SUM(amount) AS paid
      FROM payment WHERE status = 'PAID' GROUP BY order_no
      HAVING SUM(CASE WHEN channel IN ('WX', 'ALI', 'CARD') THEN 1 ELSE 0 END) > 0) p
JOIN (SELECT s.order_no,
             SUM(CASE WHEN e.account_type = 'CLEARING' AND e.direction = 'DEBIT' THEN e.amount
                      WHEN e.account_type = 'CLEARING' AND e.direction = 'CREDIT' THEN -e.amount
                      ELSE 0 END) AS cleared
      FROM accounting_entry e
      JOIN settlement s ON s.settlement_no = e.settlement_no
      WHERE e.status = 'BOOKED'
      GROUP BY s.order_no) a ON a.order_no = p.order_no
LEFT JOIN (SELECT order_no, SUM(amount) AS refunded
           FROM refund WHERE status = 'SUCCESS' GROUP BY order_no) r ON r.order_no = p.order_no
WHERE a.cleared <> p.paid - COALESCE(r.refunded, 0)
