-- Every statement of the server's store. `/*ids*/` is replaced by placeholders.

-- name: find_space
SELECT id, seq, digest, received_us, log_start FROM spaces WHERE name = ?;

-- name: add_space
INSERT INTO spaces (name, created_us) VALUES (?, ?);

-- name: advance_space
UPDATE spaces SET seq = ?, digest = ?, received_us = ? WHERE id = ?;

-- name: set_log_start
UPDATE spaces SET log_start = ? WHERE id = ?;

-- name: append_log
INSERT INTO log (position, content_digest, entry, request_id, replica, attempts, created_us)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: add_receipt
INSERT INTO receipts (op_id, position) VALUES (?, ?);

-- name: find_receipts
SELECT receipts.op_id, log.position, log.content_digest, log.entry
FROM receipts JOIN log ON log.position = receipts.position
WHERE receipts.op_id IN (/*ids*/);

-- name: was_sent_by
SELECT 1 FROM log JOIN replicas ON replicas.id = log.replica
WHERE replicas.replica_id = ? AND log.position = ?;

-- name: log_entry
SELECT entry FROM log WHERE position = ?;

-- name: log_page
SELECT entry FROM log WHERE position > ? AND position <= ? ORDER BY position;

-- name: log_rows
SELECT position, content_digest, entry, request_id, replica, attempts, created_us FROM log
WHERE position BETWEEN ? AND ? ORDER BY position LIMIT ?;

-- name: delete_log_rows
DELETE FROM log WHERE position BETWEEN ? AND ?;

-- name: log_start
SELECT log_start FROM spaces WHERE id = ?;

-- name: spaces_to_trim
SELECT id, seq, log_start FROM spaces
WHERE id >= ? AND log_start <= seq - ? ORDER BY id LIMIT ?;

-- name: keep_value
INSERT OR REPLACE INTO kept_values (record, root, op_id, position, value, why, left_seq)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: drop_kept_value
DELETE FROM kept_values WHERE record = ? AND root = ? AND op_id = ?;

-- name: kept_of_field
SELECT op_id, position, value, why, left_seq FROM kept_values WHERE record = ? AND root = ?;

-- name: kept_of_record
SELECT root, op_id, position, value, why, left_seq FROM kept_values
WHERE record = ? AND position < ? ORDER BY root, op_id;

-- name: last_record_id
SELECT coalesce(max(id), 0) FROM records;

-- name: find_record
SELECT id, state FROM records WHERE space = ? AND collection = ? AND record = ?;

-- name: find_records
SELECT record, id, state FROM records
WHERE space = ? AND collection = ? AND record IN (/*ids*/);

-- name: add_record
INSERT INTO records (id, space, collection, record, position, state) VALUES (?, ?, ?, ?, ?, ?);

-- name: write_record
UPDATE records SET position = ?, state = ? WHERE id = ?;

-- name: records_below
SELECT collection, record, position, state FROM records
WHERE position > ? AND position < ? ORDER BY position DESC;

-- name: records_above
SELECT collection, record, position, state FROM records
WHERE position > ? AND position <= ? ORDER BY position;

-- name: count_records
SELECT count(*) FROM records WHERE position > ? AND position <= ?;

-- name: count_records_of_space
SELECT count(*) FROM records WHERE space = ?;

-- name: count_graves
SELECT space, count(*) FROM graves GROUP BY space;

-- name: find_graves
SELECT op_id, root, n, space, collection, record, position FROM graves WHERE op_id IN (/*ids*/);

-- name: any_grave
SELECT 1 FROM graves LIMIT 1;

-- name: dig_grave
INSERT OR IGNORE INTO graves (op_id, root, n, space, collection, record, position)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: close_graves
DELETE FROM graves WHERE op_id = ?;

-- name: last_conflict
SELECT id, status, candidates FROM conflicts
WHERE space = ? AND collection = ? AND record = ? AND root = ? ORDER BY id DESC LIMIT 1;

-- name: open_conflict
INSERT INTO conflicts (space, collection, record, root, status, opened_us, changed_us, candidates)
VALUES (?, ?, ?, ?, 'open', ?, ?, ?);

-- name: change_conflict
UPDATE conflicts SET status = ?, changed_us = ?, candidates = ?, reopened = reopened + ?
WHERE id = ?;

-- name: add_conflict_event
INSERT INTO conflict_events (conflict, seq, kind, at_us, user, op_id, candidates)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: find_replica
SELECT id, run FROM replicas WHERE space = ? AND replica_id = ?;

-- name: add_replica
INSERT INTO replicas (space, replica_id, user, first_seen_us, last_seen_us) VALUES (?, ?, ?, ?, ?);

-- name: admit_replica
UPDATE replicas
SET run = ?, user = ?, device = ?, software = ?, outbox = ?, cursor_seq = ?,
    last_seen_us = ?
WHERE id = ?;

-- name: note_cursor
UPDATE replicas SET cursor_seq = max(cursor_seq, ?), cursor_us = ?, outbox = ?, last_seen_us = ?
WHERE space = (SELECT id FROM spaces WHERE name = ?) AND replica_id = ?;

-- name: replica_of_space
SELECT replicas.id, replicas.space FROM replicas JOIN spaces ON spaces.id = replicas.space
WHERE spaces.name = ? AND replicas.replica_id = ?;

-- name: add_acknowledged
INSERT OR REPLACE INTO acknowledged
    (replica, to_seq, from_seq, count, digest, received_us, op_ids, missing)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: acknowledged_until
SELECT coalesce(max(to_seq), 0) FROM acknowledged WHERE replica = ?;

-- name: extent_of_acknowledged
SELECT count(*), coalesce(max(to_seq), 0) FROM acknowledged WHERE replica = ?;

-- name: acknowledged_of
SELECT to_seq, from_seq, count, digest, received_us, op_ids, missing FROM acknowledged
WHERE replica = ? ORDER BY to_seq LIMIT ?;

-- name: count_acknowledged
SELECT count(*) FROM acknowledged WHERE replica = ?;

-- name: drop_acknowledged
DELETE FROM acknowledged WHERE replica = ? AND to_seq = ?;

-- name: find_places
SELECT op_id, position FROM receipts WHERE op_id IN (/*ids*/);

-- name: newest_policy
SELECT version, hash, text FROM policies ORDER BY version DESC LIMIT 1;

-- name: add_policy
INSERT INTO policies (version, hash, text, first_used_us) VALUES (?, ?, ?, ?);

-- name: record_position
SELECT position, id FROM records WHERE space = ? AND collection = ? AND record = ?;
