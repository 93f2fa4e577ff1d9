-- Statements that read traces. Rows of `requests` are found block by block (migration 0003).

-- name: place_of_op
SELECT position FROM receipts WHERE op_id = ?;

-- name: log_row
SELECT entry, request_id, replica, attempts, created_us FROM log WHERE position = ?;

-- name: space_name
SELECT name, seq FROM spaces WHERE id = ?;

-- name: spaces
SELECT id, name FROM spaces ORDER BY id;

-- name: attempts_of_op
SELECT a.result, a.code, a.field, a.collection, a.record, a.created_us, a.number,
    r.request_id, r.space, r.replica, r.user, r.received_us, g.decided_us, g.committed_us
FROM attempts a JOIN requests r ON r.id = a.request LEFT JOIN groups g ON g.id = r.grp
WHERE a.op_id = ? ORDER BY a.request DESC LIMIT ?;

-- name: told_of_op
SELECT c.request_id, c.sent_us, c.ended, r.space, r.replica, r.received_us
FROM client_attempts c JOIN requests r ON r.id = c.request
WHERE c.op_id = ? ORDER BY c.sent_us, c.request_id;

-- name: requests_by_request_id
WITH RECURSIVE blocks (n) AS (
    SELECT max(id) >> 8 FROM requests
    UNION ALL SELECT n - 1 FROM blocks WHERE n > (SELECT min(id) FROM requests) >> 8)
SELECT r.id, r.space, r.first_seq, r.last_seq
FROM blocks CROSS JOIN requests r ON r.id >> 8 = blocks.n AND r.request_id = ?
LIMIT 10;

-- name: request_near
-- The push that brought an op into the log: in the blocks around the time of its decision.
WITH RECURSIVE start (n) AS (
    SELECT id >> 8 FROM requests WHERE received_us <= ?1 ORDER BY received_us DESC LIMIT 1),
blocks (n) AS (
    SELECT n + 1 FROM start
    UNION ALL SELECT blocks.n - 1 FROM blocks, start WHERE blocks.n > start.n - 64)
SELECT r.received_us, g.decided_us, g.committed_us, g.published_us
FROM blocks CROSS JOIN requests r ON r.id >> 8 = blocks.n AND r.request_id = ?2
LEFT JOIN groups g ON g.id = r.grp
WHERE r.space = ?3 AND ?4 BETWEEN r.first_seq AND r.last_seq LIMIT 1;

-- name: request_ids
-- One each: SQLite finds either end by itself, but walks the table for both at once.
SELECT coalesce((SELECT min(id) FROM requests), 0), coalesce((SELECT max(id) FROM requests), -1);

-- name: requests_of_user
SELECT id, space, first_seq, last_seq FROM requests
WHERE id >> 8 = ? AND user = ? AND id <= ? ORDER BY id DESC;

-- name: ops_of_request
SELECT op_id FROM attempts WHERE request = ? ORDER BY rowid;

-- name: told_ops_of_request
SELECT DISTINCT c.op_id, r.space FROM client_attempts c JOIN requests r ON r.id = c.request
WHERE c.request_id = ? LIMIT ?;

-- name: op_ids_of_log
SELECT position, entry FROM log WHERE position BETWEEN ? AND ? ORDER BY position DESC;

-- name: newest_of_record
SELECT position, state FROM records WHERE space = ? AND collection = ? AND record = ?;

-- name: unaccepted_of_record
-- Newest first; ops that were accepted since stand in the log.
SELECT a.op_id FROM attempts a JOIN requests r ON r.id = a.request
WHERE a.collection = ?1 AND a.record = ?2 AND r.space = ?3
    AND NOT EXISTS (SELECT 1 FROM receipts WHERE receipts.op_id = a.op_id)
GROUP BY a.op_id ORDER BY max(a.request) DESC LIMIT ?4;

-- name: skew_at
SELECT skew_us FROM connections WHERE replica = ? AND connected_us <= ?
ORDER BY connected_us DESC LIMIT 1;

-- name: replica
SELECT replica_id, user, device FROM replicas WHERE id = ?;

-- name: holders
SELECT replicas.replica_id, replicas.user, replicas.device, (
    SELECT c.at_us FROM cursor_reports c
    WHERE c.replica = replicas.id AND c.seq >= ?2 ORDER BY c.seq LIMIT 1) AS at_us
FROM replicas WHERE replicas.space = ?1 AND replicas.cursor_seq >= ?2 AND at_us IS NOT NULL
ORDER BY at_us, replicas.id LIMIT ?3;

-- name: conflicts_of_field
SELECT id FROM conflicts
WHERE space = ? AND collection = ? AND record = ? AND root = ? ORDER BY id DESC LIMIT 10;

-- name: conflict_events
SELECT seq, kind, at_us, user, op_id, candidates FROM conflict_events
WHERE conflict = ? AND seq >= ? ORDER BY seq LIMIT 50;

-- name: newest_policy
SELECT text FROM policies ORDER BY version DESC LIMIT 1;
