/* ---
id: entry-direction-is-right
title: Payments are debited to clearing and credited to the merchant, refunds the other way round
entity: order
severity: error
key: [order_no, entry_no]
amount: amount
currency: CNY
owner: accounting
tags: [account, loss-4]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Reverse the entry and book it on the other side; swapped pairs still balance, so no trial balance shows them.
--- */
SELECT b.order_no, b.entry_no, b.settlement_no, b.kind, b.account_type, b.direction, b.right_direction, b.amount
FROM (SELECT s.order_no, e.entry_no, s.settlement_no, s.kind, e.account_type, e.direction, e.amount,
             CASE WHEN s.kind = 'PAYMENT' AND e.account_type = 'CLEARING' THEN 'DEBIT'
                  WHEN s.kind = 'PAYMENT' AND e.account_type = 'MERCHANT_PAYABLE' THEN 'CREDIT'
                  WHEN s.kind = 'REFUND' AND e.account_type = 'CLEARING' THEN 'CREDIT'
                  WHEN s.kind = 'REFUND' AND e.account_type = 'MERCHANT_PAYABLE' THEN 'DEBIT'
             END AS right_direction
      FROM accounting_entry e
      JOIN settlement s ON s.settlement_no = e.settlement_no
      WHERE e.status = 'BOOKED') b
WHERE b.direction <> b.right_direction
