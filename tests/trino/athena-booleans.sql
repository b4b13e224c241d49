SELECT readonly, count(*) AS n FROM cloudtrail_logs WHERE readonly = 'true' AND useridentity.sessioncontext.attributes.mfaauthenticated = 'false'
GROUP BY readonly
