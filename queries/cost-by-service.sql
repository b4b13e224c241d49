-- title: What recording costs
-- question: What do the recorded events of each service cost at CloudTrail's price per event?
-- param data_cents integer = 100: US cents for a million data events
-- param network_cents integer = 100: US cents for a million network activity events
-- param management_cents integer = 0: US cents for a million management events; the first copy is free, each further trail 2000
-- param days integer = 30: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
WITH priced AS (
  SELECT recipientaccountid, eventsource, eventcategory, count(*) AS events,
         CASE eventcategory WHEN 'Data' THEN $data_cents WHEN 'NetworkActivity' THEN $network_cents ELSE $management_cents END AS cents_per_million
  FROM events
  WHERE eventcategory IN ('Management', 'Data', 'NetworkActivity') AND eventtime > $since AND eventtime <= $until
  GROUP BY recipientaccountid, eventsource, eventcategory
)
SELECT recipientaccountid, eventsource, eventcategory, events, cents_per_million, round(events * cents_per_million / 1e8,
       4) AS usd
FROM priced
ORDER BY usd DESC, events DESC, recipientaccountid, eventsource, eventcategory
LIMIT $limit
