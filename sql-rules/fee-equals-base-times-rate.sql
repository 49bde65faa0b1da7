/* ---
id: fee-equals-base-times-rate
title: The fee is its base times its rate, rounded half up to the cent
entity: order
severity: error
key: [order_no, bill_no]
amount: difference
currency: CNY
owner: billing
tags: [fee, loss-4]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Recompute the bill; when many bills differ at once, look at the last release of billing.
--- */
SELECT order_no, bill_no, fee_base, fee_rate, fee,
       fee - ROUND(fee_base * fee_rate, 2) AS difference
FROM billing
WHERE status = 'BILLED' AND fee <> ROUND(fee_base * fee_rate, 2)
