/* ---
id: settlement-entries-add-up
title: The entries of a settlement add up to the settlement
entity: order
severity: error
key: [order_no, settlement_no]
amount: difference
currency: CNY
owner: accounting
tags: [balance, loss-1]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Compare the amount on settlement_completed with the entries; accounting may have read fen as yuan or booked twice.
--- */
SELECT s.order_no, s.settlement_no, s.amount AS settled, e.debited, e.credited,
       e.debited - ABS(s.amount) AS difference
FROM settlement s
JOIN (SELECT settlement_no,
             SUM(CASE WHEN direction = 'DEBIT' THEN amount ELSE 0 END) AS debited,
             SUM(CASE WHEN direction = 'CREDIT' THEN amount ELSE 0 END) AS credited
      FROM accounting_entry WHERE status = 'BOOKED' GROUP BY settlement_no) e ON e.settlement_no = s.settlement_no
WHERE s.status = 'SETTLED' AND e.debited <> ABS(s.amount)
