SELECT max_by(eventname, eventtime) AS last, min_by(eventname, eventtime) AS first, max_by(eventname, eventtime, 2) AS last_two,
       approx_distinct(sourceipaddress) AS addresses, count_if(errorcode IS NOT NULL) AS failed, recipientaccountid
FROM cloudtrail_logs WHERE eventname <> 'ListBuckets' GROUP BY recipientaccountid ORDER BY recipientaccountid
