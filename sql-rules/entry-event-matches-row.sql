/* ---
id: entry-event-matches-row
title: The entry's row holds the amount that its booking announced
entity: order
severity: error
key: [order_no, entry_no]
amount: difference
currency: CNY
owner: accounting
tags: [consistency, loss-1, loss-5]
settle: 2m
retries: 3
retry_interval: 10s
status: stable
runbook: Entries are never edited; a row that differs from its event was changed by hand, so find the ticket and reverse it.
--- */
SELECT s.order_no, a.entry_no, s.settlement_no, a.amount AS row_amount, e.event_amount,
       a.amount - e.event_amount AS difference
FROM accounting_entry a
JOIN settlement s ON s.settlement_no = a.settlement_no
JOIN (SELECT settlement_no, entry_no, MAX(amount) AS event_amount
      FROM accounting_entry_booked GROUP BY settlement_no, entry_no) e
  ON e.settlement_no = a.settlement_no AND e.entry_no = a.entry_no
WHERE a.status = 'BOOKED' AND a.amount <> e.event_amount
