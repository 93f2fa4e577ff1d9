-- Statements of what is recorded about how ops travelled (migration 0003).

-- name: last_request
SELECT coalesce(max(id), 0) FROM requests;

-- name: last_group
SELECT coalesce(max(id), 0) FROM groups;

-- name: add_group
INSERT INTO groups (id, decided_us) VALUES (?, ?);

-- name: complete_group
UPDATE groups SET committed_us = ?, published_us = ? WHERE id = ?;

-- name: add_request
INSERT INTO requests (id, request_id, space, replica, user, grp, received_us, first_seq, last_seq,
    accepted, duplicate, refused, held, transient)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: add_attempt
INSERT INTO attempts (op_id, request, result, code, field, collection, record, created_us, number)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: add_client_attempt
INSERT OR IGNORE INTO client_attempts (op_id, request_id, sent_us, ended, request)
VALUES (?, ?, ?, ?, ?);

-- name: trim_client_attempts
DELETE FROM client_attempts WHERE op_id = ?1 AND request_id NOT IN (
    SELECT request_id FROM client_attempts WHERE op_id = ?1 ORDER BY sent_us DESC LIMIT ?2);

-- name: add_connection
INSERT INTO connections (replica, user, connected_us, skew_us, cursor_seq, head_seq, outbox)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: end_connection
UPDATE connections SET ended_us = ?, code = ? WHERE id = ? AND ended_us IS NULL;

-- name: end_lost_connections
-- The last sign of life of the server that held them, or of the connection itself.
UPDATE connections SET code = ?, ended_us = max(connected_us,
    coalesce((SELECT max(decided_us) FROM groups), 0))
WHERE ended_us IS NULL;

-- name: add_cursor_report
INSERT OR IGNORE INTO cursor_reports (replica, seq, at_us)
SELECT replicas.id, min(?1, spaces.seq), ?2 FROM replicas
JOIN spaces ON spaces.id = replicas.space
WHERE spaces.name = ?3 AND replicas.replica_id = ?4 AND min(?1, spaces.seq) > 0;

-- name: place_of_replica
SELECT spaces.id, replicas.id FROM spaces
JOIN replicas ON replicas.space = spaces.id AND replicas.replica_id = ?2
WHERE spaces.name = ?1;

-- name: first_kept_request
SELECT coalesce(max(id), 0) - ? + 1 FROM requests;

-- name: old_requests
SELECT id FROM requests WHERE received_us < ? ORDER BY received_us LIMIT ?;

-- name: requests_below
SELECT id FROM requests WHERE id < ? ORDER BY id LIMIT ?;

-- name: drop_attempts_of
DELETE FROM attempts WHERE request = ?;

-- name: drop_client_attempts_of
DELETE FROM client_attempts WHERE request = ?;

-- name: drop_request
DELETE FROM requests WHERE id = ?;

-- name: drop_attempts_beyond
DELETE FROM attempts WHERE rowid IN (
    SELECT rowid FROM attempts
    WHERE rowid <= (SELECT max(rowid) FROM attempts) - ?1 ORDER BY rowid LIMIT ?2);

-- name: first_kept_group
-- Of the oldest pushes that are kept; ids of pushes and of groups grow together. NULL where a
-- group decided none of these: then it is not known yet.
SELECT CASE WHEN count(*) > 0 THEN min(grp)
    ELSE (SELECT coalesce(max(id), 0) + 1 FROM groups) END
FROM (SELECT grp FROM requests ORDER BY id LIMIT ?);

-- name: drop_groups
DELETE FROM groups WHERE id IN (SELECT id FROM groups WHERE id < ?1 ORDER BY id LIMIT ?2);

-- name: drop_connections
DELETE FROM connections WHERE id IN (
    SELECT id FROM connections
    WHERE connected_us < ?1 AND ended_us IS NOT NULL ORDER BY connected_us LIMIT ?2);

-- name: drop_connections_beyond
DELETE FROM connections WHERE id IN (
    SELECT id FROM connections
    WHERE id <= (SELECT max(id) FROM connections) - ?1 AND ended_us IS NOT NULL
    ORDER BY id LIMIT ?2);

-- name: drop_client_attempts_beyond
-- What the push of the first row too many told goes with everything older.
DELETE FROM client_attempts WHERE (op_id, request_id) IN (
    SELECT op_id, request_id FROM client_attempts
    WHERE request <= (SELECT request FROM client_attempts
                      ORDER BY request DESC LIMIT 1 OFFSET ?1)
    ORDER BY request LIMIT ?2);

-- name: drop_cursor_reports
DELETE FROM cursor_reports WHERE (replica, seq) IN (
    SELECT replica, seq FROM cursor_reports WHERE at_us < ?1 ORDER BY at_us LIMIT ?2);

-- name: next_reporting_replica
SELECT min(replica) FROM cursor_reports WHERE replica > ?;

-- name: drop_cursor_reports_beyond
DELETE FROM cursor_reports WHERE replica = ?1 AND seq IN (
    SELECT seq FROM cursor_reports
    WHERE replica = ?1 AND seq <= (SELECT seq FROM cursor_reports WHERE replica = ?1
                                   ORDER BY seq DESC LIMIT 1 OFFSET ?2)
    ORDER BY seq LIMIT ?3);

-- name: any_space
SELECT count(*) FROM (SELECT 1 FROM spaces LIMIT 1);

-- name: open_conflicts
SELECT count(*), min(opened_us) FROM conflicts WHERE status = 'open';

-- name: outboxes
SELECT outbox, last_seen_us FROM replicas
WHERE last_seen_us >= ? AND outbox IS NOT NULL ORDER BY id DESC LIMIT 20000;
