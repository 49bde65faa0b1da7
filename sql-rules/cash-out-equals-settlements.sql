/* ---
id: cash-out-equals-settlements
title: A cash-out pays exactly the settlements that it names
entity: cash_out
severity: critical
key: [cash_out_no]
amount: difference
currency: CNY
owner: cash-out
tags: [balance, loss-1]
settle: 2m
retries: 3
retry_interval: 10s
trip: { points: [cash_out], by: merchant }
status: stable
runbook: Hold the cash-out if it is not sent yet; otherwise settle the difference with the merchant in the next one.
--- */
SELECT c.cash_out_no, c.merchant_no, c.status, c.amount AS cashed_out, COALESCE(s.settled, 0) AS settled,
       c.amount - COALESCE(s.settled, 0) AS difference
FROM cash_out c
LEFT JOIN (SELECT cash_out_no, SUM(amount) AS settled
           FROM settlement WHERE status = 'SETTLED' GROUP BY cash_out_no) s ON s.cash_out_no = c.cash_out_no
WHERE c.status <> 'FAILED' AND c.amount <> COALESCE(s.settled, 0)
