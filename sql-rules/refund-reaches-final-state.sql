/* ---
id: refund-reaches-final-state
title: Every refund reaches its final state
entity: order
severity: error
key: [order_no, refund_no]
amount: amount
currency: CNY
owner: refund
tags: [final-state, loss-2]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Ask the channel what became of the refund before it is tried again.
--- */
SELECT order_no, refund_no, status, amount
FROM refund
WHERE status IN ('CREATED', 'PROCESSING')
