/* ---
id: settlement-entries-balance
title: The debits of a settlement's entries equal their credits
entity: order
severity: critical
key: [order_no, settlement_no]
amount: difference
currency: CNY
owner: accounting
tags: [balance, loss-4, loss-5]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Look for an entry that is missing, doubled or was changed by hand; book a correction, do not edit the entry.
--- */
SELECT s.order_no, s.settlement_no, e.debited, e.credited,
       e.debited - e.credited AS difference
FROM settlement s
JOIN (SELECT settlement_no,
             SUM(CASE WHEN direction = 'DEBIT' THEN amount ELSE 0 END) AS debited,
             SUM(CASE WHEN direction = 'CREDIT' THEN amount ELSE 0 END) AS credited
      FROM accounting_entry WHERE status = 'BOOKED' GROUP BY settlement_no) e ON e.settlement_no = s.settlement_no
WHERE e.debited <> e.credited
