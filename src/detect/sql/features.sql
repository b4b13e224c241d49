-- Every event that has an actor, reduced to its features (functions of `detect::feature`).
SELECT
  profile_of(actor) AS profile,
  actor,
  coalesce(recipientaccountid, '(none)') AS account,
  api_of(eventsource, eventname) AS api,
  service_of(eventsource) AS service,
  coalesce(awsregion, '(none)') AS region,
  network_of(sourceipaddress) AS network,
  network_wide_of(sourceipaddress) AS network_wide,
  agent_family(useragent) AS user_agent,
  coalesce(outcome, 'success') AS outcome,
  lpad(CAST(CAST(date_part('hour', eventtime) AS BIGINT) AS VARCHAR), 2, '0') AS hour,
  CASE WHEN readonly THEN 'read' ELSE 'write' END AS access,
  eventtime,
  eventid,
  eventhash,
  eventsource,
  eventname,
  sourceipaddress,
  useragent,
  useridentity,
  event_date
FROM events
WHERE actor IS NOT NULL
