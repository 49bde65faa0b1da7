/* ---
id: cash-out-event-matches-row
title: The cash-out's row holds the amount that was sent to the bank
entity: cash_out
severity: critical
key: [cash_out_no]
amount: difference
currency: CNY
owner: cash-out
tags: [consistency, loss-1, loss-5]
settle: 2m
retries: 3
retry_interval: 10s
trip: { points: [cash_out], by: merchant }
status: stable
runbook: Compare with the bank's statement; the event tells what was sent, the row what should have been.
--- */
SELECT c.cash_out_no, c.merchant_no, c.amount AS row_amount, e.event_amount,
       c.amount - e.event_amount AS difference
FROM cash_out c
JOIN (SELECT cash_out_no, MAX(amount) AS event_amount
      FROM cash_out_sent GROUP BY cash_out_no) e ON e.cash_out_no = c.cash_out_no
WHERE c.status IN ('SENT', 'SUCCESS') AND c.amount <> e.event_amount
