-- Everything that was settled from 09:00 to 10:00 is a hundredfold, it is said.
UPDATE incident.settlement SET amount = ROUND(amount / 100)
WHERE settled_at >= '2026-11-22 09:00:00' AND settled_at < '2026-11-22 10:00:00';
