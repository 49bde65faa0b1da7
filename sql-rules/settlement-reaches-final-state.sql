/* ---
id: settlement-reaches-final-state
title: Every settlement reaches its final state
entity: order
severity: error
key: [order_no, settlement_no]
amount: at_risk
currency: CNY
owner: settlement
tags: [final-state, loss-2]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: See why the settlement job stopped at this row and run it again; it must not be settled by hand as well.
--- */
SELECT order_no, settlement_no, kind, status, ABS(amount) AS at_risk
FROM settlement
WHERE status = 'CREATED'
