-- The events of the cells that carry a story: `flagged` has a row per story and cell.
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
),
met AS (
  SELECT e.*, f.story, f.cell, f.millibits,
    row_number() OVER (PARTITION BY f.story, f.cell ORDER BY e.eventtime, e.eventid, e.eventhash) AS place
  FROM theirs e
  JOIN flagged f ON f.actor = e.actor AND f.access_key = e.access_key AND f.account = e.account AND f.api = e.api
    AND f.region = e.region AND f.address = e.address AND f.resource = e.resource AND f.outcome = coalesce(e.outcome, 'success')
    AND e.eventtime BETWEEN f.first_time AND f.last_time AND f.agent = agent_of(e.useragent)
),
once AS (
  SELECT *, row_number() OVER (PARTITION BY story, coalesce(eventid, eventhash) ORDER BY millibits DESC, cell) AS copy
  FROM met WHERE place <= {per_cell}
),
ranked AS (
  SELECT *, row_number() OVER (PARTITION BY story ORDER BY millibits DESC, eventtime, eventid, eventhash) AS rank
  FROM once WHERE copy = 1
)
SELECT story, actor, account, api, region, coalesce(outcome, 'success') AS outcome, eventtime, eventid, eventhash,
  eventsource, eventname, sourceipaddress, useragent, millibits,
  get_field(useridentity, 'type') AS identity_type,
  get_field(useridentity, 'principalid') AS principal_id,
  get_field(useridentity, 'accesskeyid') AS access_key_id,
  get_field(useridentity, 'username') AS user_name,
  source_kind(sourceipaddress, vpcendpointid) AS kind,
  source_country(sourceipaddress) AS country,
  source_asn(sourceipaddress) AS asn,
  source_org(sourceipaddress) AS org,
  source_list(sourceipaddress) AS list
FROM ranked
WHERE rank <= {limit}
ORDER BY story, eventtime, eventid, eventhash
