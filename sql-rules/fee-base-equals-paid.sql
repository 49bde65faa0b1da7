/* ---
id: fee-base-equals-paid
title: Fees are charged on exactly what was paid by WX, ALI or CARD
entity: order
severity: error
key: [order_no]
amount: difference
currency: CNY
owner: billing
tags: [fee, loss-1]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Compare the bill with the payment; refunds and vouchers must not change the base.
--- */
SELECT b.order_no, b.fee_base, p.paid_electronically,
       b.fee_base - p.paid_electronically AS difference
FROM (SELECT order_no, SUM(fee_base) AS fee_base
      FROM billing WHERE status = 'BILLED' GROUP BY order_no) b
JOIN (SELECT order_no,
             SUM(CASE WHEN channel IN ('WX', 'ALI', 'CARD') THEN amount ELSE 0 END) AS paid_electronically
      FROM payment WHERE status = 'PAID' GROUP BY order_no) p ON p.order_no = b.order_no
WHERE b.fee_base <> p.paid_electronically
