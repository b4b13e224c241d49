SELECT count(*) > 0 AS any FROM $EDS_ID WHERE eventTime > date_add('day', -7, timestamp '2026-03-12 00:00:00') AND eventTime < now()
