-- A day's events by account, region, service and quarter of the day (UTC); AWS's own calls are among them.
SELECT
  coalesce(recipientaccountid, '') AS account,
  coalesce(awsregion, '(none)') AS region,
  coalesce(eventsource, '(none)') AS source,
  count(*) FILTER (WHERE date_part('hour', eventtime) < 6) AS first,
  count(*) FILTER (WHERE date_part('hour', eventtime) BETWEEN 6 AND 11) AS second,
  count(*) FILTER (WHERE date_part('hour', eventtime) BETWEEN 12 AND 17) AS third,
  count(*) FILTER (WHERE date_part('hour', eventtime) > 17) AS fourth,
  max(eventtime) AS newest
FROM events
WHERE event_date = DATE '{date}' AND {in_time} AND {delivered}
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
