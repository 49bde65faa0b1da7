/* ---
id: voucher-and-cash-are-not-accounted
title: Vouchers and cash never reach accounting
entity: order
severity: error
key: [order_no]
amount: booked
currency: CNY
owner: accounting
tags: [exclusion, loss-4]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Reverse the entries; no clearing account holds money for them.
--- */
SELECT a.order_no, a.booked
FROM (SELECT s.order_no, SUM(e.amount) AS booked
      FROM accounting_entry e
      JOIN settlement s ON s.settlement_no = e.settlement_no
      WHERE e.status = 'BOOKED'
      GROUP BY s.order_no) a
WHERE EXISTS (SELECT 1 FROM payment p
              WHERE p.order_no = a.order_no AND p.status = 'PAID' AND p.channel IN ('VOUCHER', 'CASH'))
