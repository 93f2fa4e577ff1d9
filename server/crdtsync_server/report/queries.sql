-- Every statement of the report. It reads only, and each statement is bounded: by a limit, or
-- by rows that are few by nature (spaces, policies). `:spaces` is a JSON list of space ids.
-- CROSS JOIN is SQLite's way to say which table is read first: the one with the index by time.

-- name: tables
SELECT name FROM sqlite_master WHERE type IN ('table', 'index');

-- name: schema
PRAGMA user_version;

-- name: spaces
SELECT id, name, seq, digest, received_us, log_start FROM spaces ORDER BY name;

-- name: newest_policy
SELECT text FROM policies ORDER BY version DESC LIMIT 1;

-- name: requests_within
-- The newest pushes of the window, newest first.
SELECT r.id, r.space, r.replica, r.received_us, r.first_seq, r.last_seq, r.accepted, r.duplicate,
    r.refused, r.held, r.transient, g.committed_us
FROM requests r LEFT JOIN groups g ON g.id = r.grp
WHERE r.received_us >= :from_us AND r.received_us < :to_us
    AND r.space IN (SELECT value FROM json_each(:spaces))
ORDER BY r.received_us DESC LIMIT :most;

-- name: ops_within
-- The ops that these pushes brought into the log.
SELECT position, attempts, created_us FROM log
WHERE position BETWEEN ? AND ? ORDER BY position;

-- name: attempts_within
SELECT a.op_id, a.result, a.code, a.field, a.collection, a.record, a.number, r.request_id,
    r.received_us, r.space, r.replica
FROM requests r JOIN attempts a ON a.request = r.id
WHERE r.received_us >= :from_us AND r.received_us < :to_us
    AND r.space IN (SELECT value FROM json_each(:spaces))
ORDER BY r.received_us DESC LIMIT :most;

-- name: attempt_beyond
-- When the first push was received whose attempts are too many to be looked at.
SELECT r.received_us FROM requests r JOIN attempts a ON a.request = r.id
WHERE r.received_us >= :from_us AND r.received_us < :to_us
    AND r.space IN (SELECT value FROM json_each(:spaces))
ORDER BY r.received_us DESC LIMIT 1 OFFSET :most;

-- name: told_beyond
SELECT r.received_us FROM requests r JOIN client_attempts c ON c.request = r.id
WHERE r.received_us >= :from_us AND r.received_us < :to_us
    AND r.space IN (SELECT value FROM json_each(:spaces))
ORDER BY r.received_us DESC LIMIT 1 OFFSET :most;

-- name: told_within
-- What devices told of attempts that the server may never have seen.
SELECT c.op_id, c.request_id, c.sent_us, c.ended, r.received_us, r.space, r.replica
FROM requests r JOIN client_attempts c ON c.request = r.id
WHERE r.received_us >= :from_us AND r.received_us < :to_us
    AND r.space IN (SELECT value FROM json_each(:spaces))
ORDER BY r.received_us DESC LIMIT :most;

-- name: told_of_op
SELECT count(*) FROM client_attempts WHERE op_id = ? AND ended <> 'held';

-- name: log_of_ops
SELECT receipts.op_id, log.position, log.request_id, log.attempts, log.entry
FROM receipts JOIN log ON log.position = receipts.position
WHERE receipts.op_id IN (/*ids*/);

-- name: connections_within
SELECT c.replica, c.connected_us, c.ended_us, c.code, c.skew_us, c.outbox
FROM connections c JOIN replicas p ON p.id = c.replica
WHERE c.connected_us >= :from_us AND c.connected_us < :to_us
    AND p.space IN (SELECT value FROM json_each(:spaces))
ORDER BY c.connected_us DESC LIMIT :most;

-- name: connection_before
SELECT replica, connected_us, ended_us, code, skew_us, outbox FROM connections
WHERE replica = ? AND connected_us < ? ORDER BY connected_us DESC LIMIT 1;

-- name: cursors_within
SELECT c.replica, c.seq, c.at_us, p.space
FROM cursor_reports c CROSS JOIN replicas p ON p.id = c.replica
WHERE c.at_us >= :from_us AND c.at_us < :to_us
    AND p.space IN (SELECT value FROM json_each(:spaces))
ORDER BY c.at_us DESC LIMIT :most;

-- name: replicas
SELECT id, space, replica_id, user, device, cursor_seq, last_seen_us, outbox FROM replicas
WHERE space IN (SELECT value FROM json_each(:spaces)) ORDER BY last_seen_us DESC LIMIT :most;

-- name: arrived_of
SELECT count(*) FROM (
    SELECT replica FROM log WHERE position > ? AND position <= ? ORDER BY position LIMIT ?
) WHERE replica = ?;

-- name: open_conflicts
-- Only those that the reader may read: others must not take the places of these.
SELECT id, space, collection, record, root, opened_us, candidates FROM conflicts
WHERE status = 'open' AND space IN (SELECT value FROM json_each(:spaces))
    AND collection NOT IN (SELECT value FROM json_each(:hidden_collections))
    AND collection || '/' || root NOT IN (SELECT value FROM json_each(:hidden_roots))
ORDER BY opened_us LIMIT :most;

-- name: conflict_events_within
SELECT e.kind, e.at_us, e.user, c.collection, c.root
FROM conflict_events e CROSS JOIN conflicts c ON c.id = e.conflict
WHERE e.at_us >= :from_us AND e.at_us < :to_us
    AND c.space IN (SELECT value FROM json_each(:spaces))
ORDER BY e.at_us DESC LIMIT :most;

-- name: count_records
SELECT count(*) FROM records WHERE position > ? AND position <= ?;

-- name: largest_records
-- Not those of collections in which something is hidden: a size tells of every field.
SELECT collection, record, length(state) AS size_bytes FROM (
    SELECT collection, record, state FROM records
    WHERE position > :low AND position <= :high ORDER BY position DESC LIMIT :most
) WHERE collection NOT IN (SELECT value FROM json_each(:hiding))
ORDER BY size_bytes DESC LIMIT :shown;

-- name: count_conflicts
SELECT count(*) FROM conflicts;

-- name: acknowledged_within
SELECT a.replica, a.to_seq, a.from_seq, a.count, a.digest, a.received_us, a.op_ids, a.missing,
    p.space
FROM acknowledged a JOIN replicas p ON p.id = a.replica
WHERE a.received_us >= :from_us AND p.space IN (SELECT value FROM json_each(:spaces))
ORDER BY a.received_us DESC LIMIT :most;

-- name: old_acknowledged_within
-- Of a database from before op_ids were named (schema 1 to 3).
SELECT a.replica, a.to_seq, a.from_seq, a.count, a.digest, a.received_us, x'', x'', p.space
FROM acknowledged a JOIN replicas p ON p.id = a.replica
WHERE a.received_us >= :from_us AND p.space IN (SELECT value FROM json_each(:spaces))
ORDER BY a.received_us DESC LIMIT :most;

-- name: places
SELECT receipts.op_id, log.position FROM receipts
LEFT JOIN log ON log.position = receipts.position
WHERE receipts.op_id IN (/*ids*/);

-- name: receipt_places
SELECT op_id, position FROM receipts WHERE op_id IN (/*ids*/);

-- name: log_slice
SELECT position, entry, replica FROM log WHERE position > ? AND position <= ?
ORDER BY position LIMIT ?;

-- name: entry_at
SELECT entry FROM log WHERE position = ?;

-- name: count_log
SELECT count(*) FROM log;

-- name: count_receipts
SELECT count(*) FROM receipts;

-- name: receipts_without_log
SELECT receipts.op_id, receipts.position FROM receipts
LEFT JOIN log ON log.position = receipts.position WHERE log.position IS NULL LIMIT ?;

-- name: receipts_of_places
-- Only where a gap was found: receipts are read one and all for it.
SELECT op_id FROM receipts WHERE position BETWEEN ? AND ? LIMIT ?;
