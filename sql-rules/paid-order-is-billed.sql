/* ---
id: paid-order-is-billed
title: Every order paid by WX, ALI or CARD is billed its fee
entity: order
severity: error
key: [order_no]
amount: paid_electronically
currency: CNY
owner: billing
tags: [completeness, loss-2]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Send the payment to billing again; the fee of an unbilled order is lost.
--- */
SELECT p.order_no, p.paid_electronically
FROM (SELECT order_no, SUM(amount) AS paid_electronically
      FROM payment WHERE status = 'PAID' AND channel IN ('WX', 'ALI', 'CARD')
      GROUP BY order_no) p
WHERE NOT EXISTS (SELECT 1 FROM billing b
                  WHERE b.order_no = p.order_no AND b.status = 'BILLED')
