-- title: Summary by identity
-- question: What did each identity do in numbers: calls, every kind of failure, what was sensitive, from where, with what?
-- param actor text = %: whose, as in actor; % stands for any text
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
WITH calls AS (
  SELECT coalesce(actor, 'unknown') AS actor, useridentity.type AS type, useridentity.accesskeyid AS key, outcome, readonly,
         eventtime, recipientaccountid, awsregion, sourceipaddress, source_country(sourceipaddress) AS country,
         agent_family(useragent) AS agent,
         concat(split_part(eventsource, '.', 1), ':', eventname) AS api, api_stake(eventsource, eventname) >= 3 AS sensitive
  FROM events
  WHERE eventtime > $since AND eventtime <= $until AND coalesce(actor, 'unknown') LIKE $actor
)
SELECT actor, max(type) AS type, count(*) AS events, count(*) FILTER (WHERE outcome = 'success') AS succeeded,
       count(*) FILTER (WHERE outcome = 'denied') AS denied, count(*) FILTER (WHERE outcome = 'auth_failed') AS auth_failed,
       count(*) FILTER (WHERE outcome = 'throttled') AS throttled, count(*) FILTER (WHERE outcome = 'not_found') AS not_found,
       count(*) FILTER (WHERE outcome = 'invalid') AS invalid,
       count(*) FILTER (WHERE outcome IN ('service_error', 'dry_run')) AS other, count(*) FILTER (WHERE NOT readonly) AS writes,
       min(eventtime) AS first_seen, max(eventtime) AS last_seen,
       count(DISTINCT key) FILTER (WHERE key LIKE 'AKIA%') AS long_term_keys,
       count(DISTINCT key) FILTER (WHERE key LIKE 'ASIA%') AS temporary_keys,
       array_to_string(array_sort(array_agg(DISTINCT api) FILTER (WHERE sensitive AND outcome = 'success')), ' ') AS sensitive_succeeded,
       array_to_string(array_sort(array_agg(DISTINCT api) FILTER (WHERE sensitive AND outcome <> 'success')), ' ') AS sensitive_failed,
       array_to_string(array_sort(array_agg(DISTINCT recipientaccountid)), ' ') AS accounts,
       array_to_string(array_sort(array_agg(DISTINCT awsregion)), ' ') AS regions,
       array_to_string(array_sort(array_agg(DISTINCT sourceipaddress)), ' ') AS addresses,
       array_to_string(array_sort(array_agg(DISTINCT country)), ' ') AS countries,
       array_to_string(array_sort(array_agg(DISTINCT agent)), ' ') AS agents
FROM calls
GROUP BY actor
ORDER BY events DESC, actor
LIMIT $limit
