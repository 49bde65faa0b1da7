/* ---
id: paid-row-has-event
title: Every paid payment was announced as completed
entity: order
severity: error
key: [order_no, payment_no]
amount: amount
currency: CNY
owner: payment
tags: [completeness, loss-2, loss-5]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Ask the channel whether the money came; a row set to PAID by hand has no event.
--- */
SELECT p.order_no, p.payment_no, p.amount
FROM payment p
WHERE p.status = 'PAID'
  AND NOT EXISTS (SELECT 1 FROM payment_completed e
                  WHERE e.order_no = p.order_no AND e.payment_no = p.payment_no)
