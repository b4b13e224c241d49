SELECT errorCode, count(*) AS total FROM $EDS_ID
WHERE errorCode IS NOT NULL AND eventTime >= '2026-01-01 00:00:00' AND eventTime <= '2026-12-31 23:59:59'
GROUP BY errorCode ORDER BY total DESC, errorCode LIMIT 10
