SELECT count(*) AS rows, count(r) AS with_resource, count(DISTINCT eventid) AS events
FROM cloudtrail_logs LEFT JOIN UNNEST(resources) WITH ORDINALITY AS t (r, place) ON true
