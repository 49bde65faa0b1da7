/* ---
id: payment-numbers-have-no-gap
title: Payments are numbered one by one, without a gap or a number given twice
entity: order
severity: error
key: [order_no, payment_no]
owner: payment
tags: [quality, sequence, loss-2]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Payments were deleted, or the snapshot lacks some; compare with the payment system before anything else is believed.
--- */
SELECT order_no, payment_no, previous, number, number - previous - 1 AS missing
FROM (SELECT order_no, payment_no, number, LAG(number) OVER (ORDER BY number, payment_no) AS previous
      FROM (SELECT order_no, payment_no, TRY_CAST(SUBSTR(payment_no, 16, 8) AS BIGINT) AS number
            FROM payment
            WHERE payment_no LIKE 'P%' AND CHARACTER_LENGTH(payment_no) = 25
              AND SUBSTR(payment_no, 24, 2) = '01') numbered) ordered
WHERE number <> previous + 1
