-- title: Findings, as they stand
-- question: What did the detector find, in its latest version, the highest score first?
-- param limit integer = 100: rows at most
SELECT id, type, severity_label, score, actor, account, region, first_seen, last_seen, events, title
FROM (SELECT *, row_number() OVER (PARTITION BY id ORDER BY detected_at DESC, content_hash) AS version FROM findings)
WHERE version = 1
ORDER BY score DESC, id
LIMIT $limit
