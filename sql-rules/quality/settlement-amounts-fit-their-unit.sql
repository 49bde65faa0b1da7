/* ---
id: settlement-amounts-fit-their-unit
title: Settlements of an hour are about as large as payments are
entity: merchant
severity: critical
key: [merchant_no, hour]
amount: total
currency: CNY
owner: settlement
tags: [quality, unit, loss-1]
settle: 0s
retries: 0
status: stable
runbook: Yuan were taken for fen, or fen for yuan; hold the cash-outs of these merchants and settle the hour anew.
--- */
SELECT m.merchant_no, m.hour, m.rows_in_hour, h.usual_in_hour, p.usual, m.total
FROM (SELECT merchant_no, DATE_TRUNC('hour', settled_at) AS hour, COUNT(*) AS rows_in_hour, SUM(amount) AS total
      FROM settlement
      WHERE status = 'SETTLED' AND kind = 'PAYMENT' AND settled_at IS NOT NULL
      GROUP BY merchant_no, DATE_TRUNC('hour', settled_at)) m
JOIN (SELECT DATE_TRUNC('hour', settled_at) AS hour, MEDIAN(amount) AS usual_in_hour
      FROM settlement
      WHERE status = 'SETTLED' AND kind = 'PAYMENT' AND settled_at IS NOT NULL
      GROUP BY DATE_TRUNC('hour', settled_at)
      HAVING COUNT(*) >= 20) h ON h.hour = m.hour
CROSS JOIN (SELECT MEDIAN(amount) AS usual FROM payment WHERE status = 'PAID') p
WHERE h.usual_in_hour >= 30 * p.usual OR 30 * h.usual_in_hour <= p.usual
