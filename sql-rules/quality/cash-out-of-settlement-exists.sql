/* ---
id: cash-out-of-settlement-exists
title: Every cash-out that settlements name is there
entity: cash_out
severity: critical
key: [cash_out_no]
amount: settled
currency: CNY
owner: settlement
tags: [quality, reference, loss-2]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: The merchant waits for money that nobody sends; create the cash-out, or free the settlements.
--- */
SELECT s.cash_out_no, s.settlements, s.settled
FROM (SELECT cash_out_no, COUNT(*) AS settlements, SUM(amount) AS settled
      FROM settlement GROUP BY cash_out_no) s
WHERE NOT EXISTS (SELECT 1 FROM cash_out c WHERE c.cash_out_no = s.cash_out_no)
