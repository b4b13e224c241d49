-- What the digests say of the hours around a day, for the accounts in question.
SELECT account, region, hour, status
FROM completeness
WHERE hour_date BETWEEN DATE '{date}' - INTERVAL '1 day' AND DATE '{date}' + INTERVAL '1 day'
  AND account IN (SELECT account FROM asked) AND {verified}
ORDER BY account, region, hour, status
