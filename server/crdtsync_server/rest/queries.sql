-- What the interface for thin clients reads. Every statement runs on the reading connection.

-- name: records_of_collection
SELECT id, record, state FROM records
WHERE space = ? AND collection = ? AND record > ? ORDER BY record LIMIT ?;

-- name: record_by_row
SELECT record FROM records WHERE id = ? AND space = ? AND collection = ?;

-- name: log_row
SELECT entry, request_id, replicas.device FROM log
LEFT JOIN replicas ON replicas.id = log.replica WHERE position = ?;

-- name: log_page_rows
SELECT entry FROM log WHERE position > ? AND position <= ? ORDER BY position LIMIT ?;

-- name: find_receipt
SELECT log.position, log.content_digest, log.entry, spaces.name
FROM receipts JOIN log ON log.position = receipts.position
JOIN spaces ON spaces.id = log.position >> 40
WHERE receipts.op_id = ?;

-- Open conflicts lie in an index of their own; the others are found through the space's.
-- name: open_conflicts
SELECT id, collection, record, root, status, opened_us, changed_us, reopened, candidates
FROM conflicts WHERE space = ?1 AND status = 'open' AND (opened_us, id) > (?2, ?3)
ORDER BY opened_us, id LIMIT ?4;

-- name: all_conflicts
SELECT id, collection, record, root, status, opened_us, changed_us, reopened, candidates
FROM conflicts WHERE space = ?1 AND (opened_us, id) > (?2, ?3) ORDER BY opened_us, id LIMIT ?4;

-- name: conflicts_of_record
SELECT id, collection, record, root, status, opened_us, changed_us, reopened, candidates
FROM conflicts
WHERE space = ?1 AND (opened_us, id) > (?2, ?3) AND collection = ?5 AND record = ?6
ORDER BY opened_us, id LIMIT ?4;

-- name: conflict_events
SELECT seq, kind, at_us, user, op_id, candidates FROM conflict_events
WHERE conflict = ? ORDER BY seq DESC LIMIT ?;

-- name: open_conflict_fields
SELECT collection, root, count(*) FROM conflicts
WHERE space = ? AND status = 'open' GROUP BY collection, root;

-- name: count_of_collection
SELECT count(*) FROM (SELECT 1 FROM records WHERE space = ? AND collection = ? LIMIT ?);

-- name: count_of_devices
SELECT count(*) FROM replicas WHERE space = ? AND replica_id <> ?;

-- name: spaces_after
SELECT name, id, seq FROM spaces WHERE name > ? ORDER BY name LIMIT ?;

-- name: devices
SELECT id, replica_id, device, user, software, cursor_seq, last_seen_us, outbox FROM replicas
WHERE space = ?1 AND replica_id <> ?2 AND (?3 IS NULL OR user = ?3)
AND (?4 IS NULL OR (last_seen_us, id) < (?4, ?5))
ORDER BY last_seen_us DESC, id DESC LIMIT ?6;

-- name: last_skew
SELECT skew_us FROM connections WHERE replica = ? ORDER BY connected_us DESC LIMIT 1;

-- name: refused_of_replica
SELECT attempts.op_id, attempts.collection, attempts.record, attempts.field, attempts.code,
    requests.received_us, requests.request_id, requests.user
FROM requests JOIN attempts ON attempts.request = requests.id AND attempts.result = 'refused'
WHERE requests.replica = ?1 AND requests.refused > 0
AND NOT EXISTS (SELECT 1 FROM receipts WHERE receipts.op_id = attempts.op_id)
ORDER BY requests.id DESC LIMIT ?2;

-- name: kept_value
SELECT value FROM kept_values WHERE record = ? AND root = ? AND op_id = ?;
