-- What the digests say of the hours around a day, for the accounts in question.
SELECT account, region, hour, status
FROM completeness
WHERE hour_date BETWEEN DATE '{day_before}' AND DATE '{day_after}'
  AND account IN (SELECT account FROM asked) AND {verified}
ORDER BY account, region, hour, status
