/* ---
id: voucher-and-cash-are-not-billed
title: No fee is charged on vouchers and cash
entity: order
severity: error
key: [order_no]
amount: fee
currency: CNY
owner: billing
tags: [exclusion, loss-4]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Void the bill and return the fee to the merchant.
--- */
SELECT b.order_no, b.fee
FROM (SELECT order_no, SUM(fee) AS fee
      FROM billing WHERE status = 'BILLED' GROUP BY order_no) b
WHERE EXISTS (SELECT 1 FROM payment p
              WHERE p.order_no = b.order_no AND p.status = 'PAID' AND p.channel IN ('VOUCHER', 'CASH'))
