/* ---
id: fee-rate-matches-channel
title: The fee rate is the one agreed for the payment's channel
entity: order
severity: error
key: [order_no, bill_no]
amount: difference
currency: CNY
owner: billing
tags: [fee, loss-4]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Correct the rate table of billing (WX 0.6 %, ALI 0.55 %, CARD 0.8 %) and bill the order anew.
--- */
SELECT b.order_no, b.bill_no, p.channel, b.fee_base, b.fee_rate, p.agreed_rate, b.fee,
       b.fee - CAST(ROUND(b.fee_base * p.agreed_rate, 2) AS DECIMAL(20, 2)) AS difference
FROM billing b
JOIN (SELECT order_no, MIN(channel) AS channel,
             CASE MIN(channel) WHEN 'WX' THEN 0.0060 WHEN 'ALI' THEN 0.0055 WHEN 'CARD' THEN 0.0080 END AS agreed_rate
      FROM payment WHERE status = 'PAID' GROUP BY order_no) p ON p.order_no = b.order_no
WHERE b.status = 'BILLED' AND b.fee_rate <> p.agreed_rate
