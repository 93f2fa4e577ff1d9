-- name: about
SELECT value FROM about WHERE key = ?;
-- name: set_about
INSERT INTO about (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- name: record
SELECT state, pending FROM records WHERE collection = ? AND id = ?;
-- name: record_state
SELECT state FROM records WHERE collection = ? AND id = ?;
-- name: put_record
INSERT INTO records (collection, id, state, view, deleted, conflicts, pending, stale)
VALUES (?, ?, ?, ?, ?, ?, ?, 0)
ON CONFLICT (collection, id) DO UPDATE SET
    state = excluded.state, view = excluded.view, deleted = excluded.deleted,
    conflicts = excluded.conflicts, pending = excluded.pending, stale = 0;
-- name: put_shown
INSERT INTO records (collection, id, state, view, deleted, conflicts, pending)
VALUES (?, ?, NULL, ?, ?, ?, ?)
ON CONFLICT (collection, id) DO UPDATE SET
    view = excluded.view, deleted = excluded.deleted,
    conflicts = excluded.conflicts, pending = excluded.pending;
-- name: drop_record
DELETE FROM records WHERE collection = ? AND id = ?;
-- name: record_ids
SELECT id FROM records WHERE collection = ?1 AND id NOT IN (
    SELECT id FROM records WHERE collection = ?1 AND (deleted <> 0 OR view = ''))
ORDER BY id;
-- name: record_count
SELECT (SELECT count(*) FROM records WHERE collection = ?1) - (
    SELECT count(*) FROM records WHERE collection = ?1 AND (deleted <> 0 OR view = ''));
-- name: all_records
SELECT collection, id FROM records ORDER BY collection, id;
-- name: confirmed_records
SELECT collection, id FROM records WHERE state IS NOT NULL;
-- name: confirmed_of_collection
SELECT id FROM records WHERE collection = ? AND state IS NOT NULL;
-- name: put_state
UPDATE records SET state = ? WHERE collection = ? AND id = ?;
-- name: conflicted
SELECT collection, id FROM records WHERE conflicts > 0 AND deleted = 0 ORDER BY collection, id;
-- name: conflicted_count
SELECT count(*) FROM records WHERE conflicts > 0 AND deleted = 0;
-- name: mark_stale
UPDATE records SET stale = 1 WHERE state IS NOT NULL;
-- name: stale_records
SELECT collection, id FROM records WHERE stale = 1;
-- name: keep_lost
INSERT INTO lost (collection, id, at_us, state, view)
SELECT collection, id, ?, state, view FROM records WHERE collection = ? AND id = ?;
-- name: forget_lost
DELETE FROM lost WHERE at_us < ?;
-- name: forget_stale
UPDATE records SET state = NULL, stale = 0 WHERE stale = 1;

-- name: overlay
SELECT op FROM outbox
WHERE collection = ? AND record = ? AND NOT (state = 'failed' AND retry_at_us IS NULL)
ORDER BY position;
-- name: shown
-- The confirmed entries first, then what waits on top of them: one statement, so one picture.
SELECT 0 AS part, 0 AS place, state AS content, NULL AS state, NULL AS retry_at_us, NULL AS user
FROM records WHERE collection = ?1 AND id = ?2
UNION ALL
SELECT 1, position, op, state, retry_at_us, user FROM outbox
WHERE collection = ?1 AND record = ?2
ORDER BY 1, 2;
-- name: put_op
INSERT INTO outbox (op_id, position, collection, record, user, op, state, created_us, ever_sent)
VALUES (?, ?, ?, ?, ?, ?, 'pending', ?, ?);
-- name: ends
SELECT coalesce((SELECT min(position) FROM outbox), 0),
    coalesce((SELECT max(position) FROM outbox), 0);
-- name: outbox
SELECT op_id, position, collection, record, user, op, state, created_us, attempts, ever_sent,
    unanswered, request_id, retry_at_us, code, field, words, params, seq, received_us, cancelling,
    sent_us, earlier
FROM outbox ORDER BY position;
-- name: outbox_op
SELECT op_id, position, collection, record, user, op, state, created_us, attempts, ever_sent,
    unanswered, request_id, retry_at_us, code, field, words, params, seq, received_us, cancelling,
    sent_us, earlier
FROM outbox WHERE op_id = ?;
-- name: outbox_of_record
SELECT op_id, position, collection, record, user, op, state, created_us, attempts, ever_sent,
    unanswered, request_id, retry_at_us, code, field, words, params, seq, received_us, cancelling,
    sent_us, earlier
FROM outbox WHERE collection = ? AND record = ? ORDER BY position;
-- name: outbox_counts
SELECT state, user, count(*), count(retry_at_us), min(created_us), min(retry_at_us)
FROM outbox GROUP BY state, user;
-- name: failed_by_code
SELECT code, count(*) FROM outbox
WHERE state = 'failed' AND code IS NOT NULL GROUP BY code ORDER BY 2 DESC, 1;
-- name: sendable
SELECT o.op_id, o.op, o.created_us, o.attempts, (
    SELECT p.op_id FROM outbox p
    WHERE p.collection = o.collection AND p.record = o.record AND p.user = o.user
        AND p.position < o.position
        -- A receipt in doubt (the server may have been restored) counts for nothing.
        AND (p.state <> 'acknowledged' OR p.seq IS NULL)
    ORDER BY p.position DESC LIMIT 1
) AS after, o.earlier
FROM outbox o
-- The queue is walked from its front until there are enough ("+" keeps SQLite
-- from gathering and sorting everything that is pending).
WHERE (+o.state = 'pending' OR (+o.state = 'failed' AND o.retry_at_us <= :now_us))
    AND o.user = :user AND o.cancelling IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM outbox b
        WHERE b.collection = o.collection AND b.record = o.record AND b.user = o.user
            AND b.position < o.position
            AND (b.cancelling IS NOT NULL OR (b.state = 'failed'
                AND (b.retry_at_us IS NULL OR b.retry_at_us > :now_us)))
    )
ORDER BY o.position LIMIT :room;
-- name: mark_sending
UPDATE outbox SET state = 'sending', attempts = attempts + 1, ever_sent = 1, unanswered = 1,
    request_id = ?, sent_us = ?, retry_at_us = NULL, code = NULL, field = NULL, words = NULL, params = NULL
WHERE op_id = ?;
-- name: being_sent
SELECT op_id, request_id, sent_us, earlier FROM outbox WHERE state = 'sending';
-- name: set_earlier
UPDATE outbox SET earlier = ? WHERE op_id = ?;
-- name: sending_is_pending
UPDATE outbox SET state = 'pending' WHERE state = 'sending';
-- name: acknowledge
UPDATE outbox SET state = 'acknowledged', unanswered = 0, seq = ?, received_us = ?,
    retry_at_us = NULL, code = NULL, field = NULL, words = NULL, params = NULL, cancelling = NULL
WHERE op_id = ?;
-- name: held
UPDATE outbox SET state = 'pending', unanswered = 0, attempts = max(attempts - 1, 0)
WHERE op_id = ? AND state = 'sending';
-- name: refuse
UPDATE outbox SET state = 'failed', unanswered = 0, retry_at_us = NULL,
    code = ?, field = ?, words = ?, params = ?
WHERE op_id = ?;
-- name: fail_for_now
UPDATE outbox SET state = 'failed', unanswered = 0, retry_at_us = ?, code = ?, words = ?
WHERE op_id = ?;
-- name: retry
UPDATE outbox SET state = 'pending', retry_at_us = NULL
WHERE state = 'failed' AND (:op_id IS NULL OR op_id = :op_id);
-- name: set_cancelling
UPDATE outbox SET cancelling = ? WHERE op_id = ?;
-- name: not_sent_after_all
UPDATE outbox SET unanswered = 0,
    state = CASE WHEN state IN ('sending', 'acknowledged') THEN 'pending' ELSE state END
WHERE op_id = ?;
-- name: sent_elsewhere
-- What failed was sent from here, and somebody may be deciding about it right now.
UPDATE outbox SET ever_sent = 1, unanswered = 1 WHERE state = 'pending';
-- name: set_position
UPDATE outbox SET position = ? WHERE op_id = ?;
-- name: queued_ids
SELECT op_id FROM outbox;
-- name: any_queued
SELECT 1 FROM outbox LIMIT 1;
-- name: outbox_size
SELECT count(*) FROM outbox;
-- name: failed
SELECT DISTINCT collection, record FROM outbox
WHERE state = 'failed' AND (? IS NULL OR op_id = ?);
-- name: doubt_receipts
UPDATE outbox SET seq = NULL WHERE state = 'acknowledged';
-- name: set_op
UPDATE outbox SET op = ? WHERE op_id = ?;
-- name: drop_op
DELETE FROM outbox WHERE op_id = ?;
-- name: covered
SELECT op_id, op, created_us, seq, collection, record FROM outbox
WHERE state = 'acknowledged' AND seq <= ?;
-- name: covered_by_snapshot
SELECT op_id, op, created_us, seq FROM outbox
WHERE state = 'acknowledged' AND seq <= ? AND collection = ? AND record = ?;
-- name: ever_sent
SELECT op_id FROM outbox WHERE ever_sent = 1 ORDER BY position;
-- name: doubtful
SELECT op_id FROM outbox WHERE cancelling IS NOT NULL OR state = 'acknowledged' ORDER BY position;
-- name: cancelling
SELECT op_id FROM outbox WHERE cancelling IS NOT NULL ORDER BY position;
-- name: next_retry
SELECT min(retry_at_us) FROM outbox
WHERE state = 'failed' AND user = ? AND retry_at_us > ? AND cancelling IS NULL;
-- name: bring_retries_near
UPDATE outbox SET retry_at_us = ? WHERE state = 'failed' AND retry_at_us > ?;
-- name: records_of_outbox
SELECT DISTINCT collection, record FROM outbox;

-- name: accept
INSERT OR REPLACE INTO accepted (op_id, seq, op, created_us, accepted_us) VALUES (?, ?, ?, ?, ?);
-- name: accepted_op
SELECT op FROM accepted WHERE op_id = ?;
-- name: accepted_after
SELECT op_id, op, created_us FROM accepted WHERE seq > ? ORDER BY seq DESC;
-- name: accepted_within
SELECT op_id, seq FROM accepted WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?;
-- name: drop_accepted
DELETE FROM accepted WHERE op_id = ?;
-- name: forget_accepted
DELETE FROM accepted WHERE accepted_us < ?;
-- name: forget_accepted_beyond
DELETE FROM accepted
WHERE seq <= (SELECT seq FROM accepted ORDER BY seq DESC LIMIT 1 OFFSET ?);

-- name: see
INSERT OR REPLACE INTO seen (seq, collection, record, entry) VALUES (?, ?, ?, ?);
-- name: seen_of_record
SELECT entry FROM seen WHERE collection = ? AND record = ? ORDER BY seq DESC LIMIT ?;
-- name: seen_of_collection
SELECT seq, entry FROM seen WHERE collection = ?;
-- name: forget_one_seen
DELETE FROM seen WHERE seq = ?;
-- name: lost_of_collection
SELECT rowid, id, state FROM lost WHERE collection = ?;
-- name: put_lost
UPDATE lost SET state = ?, view = '' WHERE rowid = ?;
-- name: drop_lost
DELETE FROM lost WHERE rowid = ?;
-- name: forget_seen
DELETE FROM seen WHERE seq <= ?;
-- name: seen_sizes
SELECT seq, length(entry) FROM seen ORDER BY seq DESC;
-- name: forget_all_seen
DELETE FROM seen WHERE seq > ?;

-- name: put_landmark
INSERT OR REPLACE INTO landmarks (seq, digest) VALUES (?, ?);
-- name: landmarks
SELECT seq, digest FROM landmarks ORDER BY seq DESC;
-- name: drop_landmark
DELETE FROM landmarks WHERE seq = ?;
-- name: drop_landmarks_above
DELETE FROM landmarks WHERE seq > ?;

-- name: put_notice
INSERT INTO notices (at_us, kind, detail) VALUES (?, ?, ?);
-- name: notices
SELECT n, at_us, kind, detail FROM notices ORDER BY n;
-- name: drop_notice
DELETE FROM notices WHERE n <= ?;
-- name: trim_notices
DELETE FROM notices WHERE n <= (SELECT max(n) FROM notices) - ?;
