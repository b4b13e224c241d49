SELECT "eventName", "userIdentity"."type" AS "Kind of User", max("eventTime") AS "Last"
FROM $EDS_ID e WHERE e."eventName" IN ('CreateUser', 'DeleteBucket') GROUP BY "eventName", "userIdentity"."type"
ORDER BY "Last", "Kind of User", "eventName"
