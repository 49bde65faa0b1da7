/* ---
id: centinel-self-check
title: What a synthetic order paid is settled
entity: self_check_order
severity: info
key: [order_no]
amount: missing
currency: CNY
owner: centinel
tags: [self-check]
settle: 500ms
retries: 0
status: shadow
runbook: Nothing is lost; it is Centinel's check of itself. It shows that a loss would be found.
--- */
SELECT p.order_no, p.amount AS paid, s.amount AS settled, p.amount - s.amount AS missing
FROM self_check_payment p
JOIN self_check_settlement s ON s.order_no = p.order_no
WHERE p.amount <> s.amount
