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
SELECT b.order_no, b.bill_no, b.fee_base, b.fee_rate, b.fee, b.fee_due,
       b.fee - b.fee_due AS difference
FROM (SELECT order_no, bill_no, fee_base, fee_rate, fee,
             CAST(ROUND(fee_base * fee_rate, 2) AS DECIMAL(20, 2)) AS fee_due
      FROM billing WHERE status = 'BILLED') b
WHERE b.fee <> b.fee_due
