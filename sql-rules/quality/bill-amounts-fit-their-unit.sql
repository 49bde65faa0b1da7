/* ---
id: bill-amounts-fit-their-unit
title: Fee bases of an hour are about as large as payments are
entity: merchant
severity: critical
key: [merchant_no, hour]
amount: total
currency: CNY
owner: billing
tags: [quality, unit, loss-1]
settle: 0s
retries: 0
status: stable
runbook: Fen stand in a column of yuan, or the other way round; bill the hour anew before merchants are charged.
--- */
SELECT m.merchant_no, m.hour, m.rows_in_hour, h.usual_in_hour, p.usual, m.total
FROM (SELECT merchant_no, DATE_TRUNC('hour', updated_at) AS hour, COUNT(*) AS rows_in_hour, SUM(fee_base) AS total
      FROM billing
      WHERE status = 'BILLED'
      GROUP BY merchant_no, DATE_TRUNC('hour', updated_at)) m
JOIN (SELECT DATE_TRUNC('hour', updated_at) AS hour, MEDIAN(fee_base) AS usual_in_hour
      FROM billing
      WHERE status = 'BILLED'
      GROUP BY DATE_TRUNC('hour', updated_at)
      HAVING COUNT(*) >= 20) h ON h.hour = m.hour
CROSS JOIN (SELECT MEDIAN(amount) AS usual FROM payment WHERE status = 'PAID') p
WHERE h.usual_in_hour >= 30 * p.usual OR 30 * h.usual_in_hour <= p.usual
