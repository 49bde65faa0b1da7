/* ---
id: entry-account-is-right
title: Entries are booked on the merchant's own account and on the clearing account of the channel
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
trip: { points: [cash_out], by: order }
status: stable
runbook: Move the entry to the right account; on a wrong merchant's account the money may already be on its way out.
--- */
SELECT s.order_no, e.entry_no, s.settlement_no, e.account_type, e.account_no, s.merchant_no, p.channel, e.amount
FROM accounting_entry e
JOIN settlement s ON s.settlement_no = e.settlement_no
LEFT JOIN (SELECT order_no, MIN(channel) AS channel
           FROM payment WHERE status = 'PAID' GROUP BY order_no) p ON p.order_no = s.order_no
WHERE e.status = 'BOOKED'
  AND ((e.account_type = 'MERCHANT_PAYABLE' AND e.account_no <> 'MP-' || s.merchant_no)
    OR (e.account_type = 'CLEARING' AND e.account_no <> 'CLR-' || p.channel))
