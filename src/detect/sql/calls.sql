-- A day's calls, as far as cells are made of them (`fold`).
SELECT
  actor,
  get_field(useridentity, 'accesskeyid') AS access_key,
  recipientaccountid AS account,
  eventsource AS source,
  eventname AS operation,
  awsregion AS region,
  sourceipaddress AS address,
  useragent AS agent,
  outcome,
  readonly,
  eventtime,
  requestparameters AS parameters,
  CASE WHEN eventname = 'ConsoleLogin' THEN additionaleventdata END AS additional
FROM events
WHERE actor IS NOT NULL AND event_date = DATE '{date}' AND {in_time} AND {delivered}
