-- title: What came of an access key
-- question: Which sessions were made with this key, directly or through others, and what did each do?
-- param key text: the access key id, AKIA… or ASIA…
-- param limit integer = 200: rows at most
-- attack: T1550.001 Use Alternate Authentication Material: Application Access Token
WITH RECURSIVE made AS (
  SELECT useridentity.accesskeyid AS parent, responseelements -> 'credentials' ->> 'accessKeyId' AS child,
         coalesce(requestparameters ->> 'roleArn', eventname) AS became, eventtime
  FROM events
  WHERE eventsource = 'sts.amazonaws.com' AND outcome = 'success'
    AND responseelements -> 'credentials' ->> 'accessKeyId' IS NOT NULL
), tree AS (
  SELECT CAST($key AS TEXT) AS accesskeyid, CAST($key AS TEXT) AS path, CAST(NULL AS TEXT) AS became, 0 AS depth
  UNION ALL
  -- a key names its session, so a tree has no circle; ten is deeper than anybody builds
  SELECT made.child, tree.path || ' -> ' || made.child, made.became, tree.depth + 1
  FROM tree JOIN made ON made.parent = tree.accesskeyid WHERE tree.depth < 10
)
SELECT depth, tree.accesskeyid, became, path, count(eventid) AS events,
       count(eventid) FILTER (WHERE outcome = 'denied') AS denied,
       count(DISTINCT sourceipaddress) AS addresses, min(eventtime) AS first_use, max(eventtime) AS last_use
FROM tree LEFT JOIN events ON events.useridentity.accesskeyid = tree.accesskeyid
GROUP BY depth, tree.accesskeyid, became, path
HAVING count(eventid) > 0 OR depth > 0
ORDER BY depth, path
LIMIT $limit
