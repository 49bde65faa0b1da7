/* ---
id: settlement-is-accounted
title: Every settlement of an order paid by WX, ALI or CARD is booked in accounting
entity: order
severity: error
key: [order_no, settlement_no]
amount: at_risk
currency: CNY
owner: accounting
tags: [completeness, loss-2]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Send the settlement to accounting again; it books each settlement number once.
--- */
SELECT s.order_no, s.settlement_no, s.kind, ABS(s.amount) AS at_risk
FROM settlement s
WHERE s.status = 'SETTLED'
  AND EXISTS (SELECT 1 FROM payment p
              WHERE p.order_no = s.order_no AND p.status = 'PAID' AND p.channel IN ('WX', 'ALI', 'CARD'))
  AND NOT EXISTS (SELECT 1 FROM accounting_entry e
                  WHERE e.settlement_no = s.settlement_no AND e.status = 'BOOKED')
