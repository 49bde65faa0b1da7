/* ---
id: payment-amounts-fit-their-unit
title: Payments of an hour are about as large as those of all hours
entity: merchant
severity: critical
key: [merchant_no, hour]
amount: total
currency: CNY
owner: payment
tags: [quality, unit, loss-1]
settle: 0s
retries: 0
status: stable
runbook: Fen stand in a column of yuan; what is made of these payments is a hundred times too large.
--- */
SELECT m.merchant_no, m.hour, m.rows_in_hour, h.usual_in_hour, p.usual, m.total
FROM (SELECT merchant_no, DATE_TRUNC('hour', paid_at) AS hour, COUNT(*) AS rows_in_hour, SUM(amount) AS total
      FROM payment
      WHERE status = 'PAID' AND paid_at IS NOT NULL
      GROUP BY merchant_no, DATE_TRUNC('hour', paid_at)) m
JOIN (SELECT DATE_TRUNC('hour', paid_at) AS hour, MEDIAN(amount) AS usual_in_hour
      FROM payment
      WHERE status = 'PAID' AND paid_at IS NOT NULL
      GROUP BY DATE_TRUNC('hour', paid_at)
      HAVING COUNT(*) >= 20) h ON h.hour = m.hour
CROSS JOIN (SELECT MEDIAN(amount) AS usual FROM payment WHERE status = 'PAID') p
WHERE h.usual_in_hour >= 30 * p.usual OR 30 * h.usual_in_hour <= p.usual
