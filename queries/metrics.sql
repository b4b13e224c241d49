-- title: Values of a field, counted
-- question: Which values has this field, how often, with which outcome, by how many identities, since when?
-- param field text: what is counted; requestParameters.NAME is a member of them
-- values field: eventName eventSource awsRegion sourceIPAddress userAgent errorCode recipientAccountId eventType vpcEndpointId accessKeyId userType tlsVersion readOnly outcome actor actor_root actor_role session_id source_kind source_country source_org source_asn agent_family api_tactic requestParameters.*
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 100: rows at most
WITH calls AS (
  SELECT CASE lower($field)
         WHEN 'eventname' THEN eventname WHEN 'eventsource' THEN eventsource WHEN 'awsregion' THEN awsregion
         WHEN 'sourceipaddress' THEN sourceipaddress WHEN 'useragent' THEN useragent WHEN 'errorcode' THEN errorcode
         WHEN 'recipientaccountid' THEN recipientaccountid WHEN 'eventtype' THEN eventtype
         WHEN 'vpcendpointid' THEN vpcendpointid WHEN 'accesskeyid' THEN useridentity.accesskeyid
         WHEN 'usertype' THEN useridentity.type WHEN 'tlsversion' THEN tlsdetails.tlsversion
         WHEN 'readonly' THEN CAST(readonly AS TEXT) WHEN 'outcome' THEN outcome WHEN 'actor' THEN actor
         WHEN 'actor_root' THEN actor_root WHEN 'actor_role' THEN actor_role WHEN 'session_id' THEN session_id
         WHEN 'source_kind' THEN source_kind WHEN 'source_country' THEN source_country WHEN 'source_org' THEN source_org
         WHEN 'source_asn' THEN CAST(source_asn AS TEXT)
         WHEN 'agent_family' THEN agent_family WHEN 'api_tactic' THEN api_tactic(eventsource, eventname)
         ELSE CASE WHEN lower($field) LIKE 'requestparameters.%' THEN json_get_str(requestparameters, substr($field, 19)) END
         END AS value, outcome, actor, sourceipaddress, eventtime
  FROM events_by_actor
  WHERE eventtime > $since AND eventtime <= $until
)
SELECT coalesce(value, '(none)') AS value, count(*) AS events, round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent,
       count(*) FILTER (WHERE outcome = 'success') AS succeeded, count(*) FILTER (WHERE outcome = 'denied') AS denied,
       count(*) FILTER (WHERE outcome NOT IN ('success', 'denied')) AS failed, count(DISTINCT actor) AS actors,
       count(DISTINCT sourceipaddress) AS addresses, min(eventtime) AS first_seen, max(eventtime) AS last_seen
FROM calls
GROUP BY value
ORDER BY events DESC, value
LIMIT $limit
