/* ---
id: cash-out-reaches-final-state
title: Every cash-out reaches its final state
entity: cash_out
severity: error
key: [cash_out_no]
amount: amount
currency: CNY
owner: cash-out
tags: [final-state, loss-2]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Ask the bank what became of the transfer before it is sent again.
--- */
SELECT cash_out_no, merchant_no, status, amount
FROM cash_out
WHERE status IN ('CREATED', 'SENT')
