-- The events of the cells that carry a story: `flagged` has a row per story and cell, `may_be_flagged` knows them by what is cheap
-- to read; `{same}` compares what a cell may have forgotten.
WITH theirs AS (
  SELECT *,
    coalesce(get_field(useridentity, 'accesskeyid'), '') AS access_key,
    coalesce(recipientaccountid, '(none)') AS account,
    api_of(eventsource, eventname) AS api,
    coalesce(awsregion, '(none)') AS region,
    coalesce(sourceipaddress, '(none)') AS address,
    CASE WHEN requestparameters IS NULL THEN '' ELSE replace(resource_of(api_of(eventsource, eventname), requestparameters),
      '(none)', '') END AS resource
  FROM events
  WHERE event_date = DATE '{date}' AND {in_time} AND {delivered}
    AND actor IN ({actors})
    AND may_be_flagged(actor, recipientaccountid, eventsource, eventname, awsregion, sourceipaddress, outcome)
)
SELECT f.story, f.cell, f.millibits, f.outcome, e.actor, e.account, e.api, e.region, e.eventtime, e.eventid, e.eventhash,
  e.eventsource, e.eventname, e.sourceipaddress, e.useragent,
  get_field(e.useridentity, 'type') AS identity_type,
  get_field(e.useridentity, 'principalid') AS principal_id,
  get_field(e.useridentity, 'accesskeyid') AS access_key_id,
  get_field(e.useridentity, 'username') AS user_name,
  source_kind(e.sourceipaddress, e.vpcendpointid) AS kind,
  source_country(e.sourceipaddress) AS country,
  source_asn(e.sourceipaddress) AS asn,
  source_org(e.sourceipaddress) AS org,
  source_list(e.sourceipaddress) AS list
FROM theirs e
JOIN flagged f ON f.actor = e.actor AND f.account = e.account AND f.api = e.api
  AND f.region = e.region AND f.address = e.address AND {same} AND f.outcome = coalesce(e.outcome, 'success')
  AND e.eventtime BETWEEN f.first_time AND f.last_time AND f.agent = agent_of(e.useragent)
