-- title: Versions of TLS
-- question: Which clients still talk old TLS, to which service, and who uses post-quantum key exchange?
-- param days integer = 7: length of the window, counted back from `until`
-- param until timestamp = newest: end of the window; the newest event unless given
-- param since timestamp = until - days: start of the window, not in it
-- param limit integer = 200: rows at most
SELECT tlsdetails.tlsversion AS tls_version, tlsdetails.keyexchange AS key_exchange, eventsource, count(*) AS events,
       count(DISTINCT actor) AS actors,
       count(DISTINCT sourceipaddress) AS addresses, min(useragent) AS example_agent, max(eventtime) AS last_seen
FROM events
WHERE tlsdetails.tlsversion IS NOT NULL AND eventtime > $since AND eventtime <= $until
GROUP BY tlsdetails.tlsversion, tlsdetails.keyexchange, eventsource
ORDER BY tls_version, events DESC, eventsource, key_exchange
LIMIT $limit
