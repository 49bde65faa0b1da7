-- Only the settlements of payments went wrong. Those of refunds were right, also in that hour.
UPDATE incident.settlement SET amount = amount / 100
WHERE kind = 'PAYMENT' AND settled_at >= '2026-11-22 09:00:00' AND settled_at < '2026-11-22 10:00:00';
