/* ---
id: refund-row-has-event
title: Every successful refund was announced as completed
entity: order
severity: error
key: [order_no, refund_no]
amount: amount
currency: CNY
owner: refund
tags: [completeness, loss-2, loss-5]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Ask the channel whether the customer has the money; a row set to SUCCESS by hand has no event.
--- */
SELECT r.order_no, r.refund_no, r.amount
FROM refund r
WHERE r.status = 'SUCCESS'
  AND NOT EXISTS (SELECT 1 FROM refund_completed e
                  WHERE e.order_no = r.order_no AND e.refund_no = r.refund_no)
