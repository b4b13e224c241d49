-- title: Sessions of a role
-- question: Who took this role under which session, with which key, from where, and how much was done?
-- param role text: ARN of the role (not of a session)
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
WITH made AS (
  SELECT responseelements -> 'credentials' ->> 'accessKeyId' AS accesskeyid, min(actor) AS taken_by,
         min(sourceipaddress) AS taken_from
  FROM events
  WHERE eventsource = 'sts.amazonaws.com' AND eventname LIKE 'AssumeRole%' AND outcome = 'success'
    AND responseelements -> 'credentials' ->> 'accessKeyId' IS NOT NULL
  GROUP BY responseelements -> 'credentials' ->> 'accessKeyId'
), sessions AS (
  SELECT useridentity.accesskeyid AS accesskeyid, split_part(useridentity.principalid, ':', 2) AS session_name,
         useridentity.sessioncontext.sourceidentity AS source_identity, count(*) AS events,
         count(*) FILTER (WHERE outcome = 'denied') AS denied, count(DISTINCT sourceipaddress) AS addresses,
         string_agg(DISTINCT sourceipaddress, ' ' ORDER BY sourceipaddress) AS used_from, min(eventtime) AS first_seen,
         max(eventtime) AS last_seen
  FROM events
  WHERE useridentity.sessioncontext.sessionissuer.arn = $role AND eventtime > $since AND eventtime <= $until
  GROUP BY 1, 2, 3
)
SELECT sessions.session_name, sessions.accesskeyid, source_identity, taken_by, taken_from, used_from, addresses, events, denied,
       first_seen, last_seen
FROM sessions LEFT JOIN made ON made.accesskeyid = sessions.accesskeyid
ORDER BY first_seen, sessions.accesskeyid, session_name, source_identity
LIMIT $limit
