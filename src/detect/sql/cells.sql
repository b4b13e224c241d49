-- A day's events as cells: like calls of one session in one hour, in one total order.
WITH day AS (
  SELECT
    actor,
    profile_of(actor) AS profile,
    coalesce(get_field(useridentity, 'accesskeyid'), '') AS access_key,
    coalesce(recipientaccountid, '(none)') AS account,
    api_of(eventsource, eventname) AS api,
    coalesce(awsregion, '(none)') AS region,
    coalesce(sourceipaddress, '(none)') AS address,
    agent_of(useragent) AS agent,
    coalesce(outcome, 'success') AS outcome,
    coalesce(readonly, false) AS readonly,
    date_part('hour', eventtime) AS hour,
    requestparameters,
    additionaleventdata,
    eventtime
  FROM events
  WHERE actor IS NOT NULL AND event_date = DATE '{date}' AND {in_time} AND {delivered}
),
marked AS (
  SELECT *,
    CASE WHEN requestparameters IS NULL THEN '' ELSE resource_of(api, requestparameters) END AS resource,
    CASE WHEN api = 'signin:ConsoleLogin' OR NOT readonly AND requestparameters IS NOT NULL
      THEN effects_of(api, requestparameters, additionaleventdata, actor, account) ELSE '' END AS effects
  FROM day
  WHERE actor_kind(profile) <> 'service'
)
SELECT actor, profile, access_key, account, api, region, address, agent, outcome, resource, effects,
  NOT readonly AS writes,
  min(eventtime) AS first_time, max(eventtime) AS last_time, count(*) AS calls
FROM marked
GROUP BY actor, profile, access_key, account, api, region, address, agent, outcome, resource, effects, readonly, hour
ORDER BY first_time, actor, access_key, account, api, region, address, agent, outcome, resource, effects, writes, last_time
