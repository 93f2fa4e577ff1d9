-- The queue lies in its own order, so that a write touches one index less before it is durable.
CREATE TABLE outbox_by_position (
    position INTEGER PRIMARY KEY,
    op_id TEXT NOT NULL UNIQUE,
    collection TEXT NOT NULL,
    record TEXT NOT NULL,
    user TEXT NOT NULL,
    op BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'sending', 'failed', 'acknowledged')),
    created_us INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    ever_sent INTEGER NOT NULL DEFAULT 0,
    unanswered INTEGER NOT NULL DEFAULT 0,
    request_id TEXT,
    retry_at_us INTEGER,
    code TEXT,
    field TEXT,
    words TEXT,
    params TEXT,
    seq INTEGER,
    received_us INTEGER,
    cancelling BLOB,
    sent_us INTEGER,
    earlier BLOB
);
INSERT INTO outbox_by_position (
    position, op_id, collection, record, user, op, state, created_us, attempts, ever_sent,
    unanswered, request_id, retry_at_us, code, field, words, params, seq, received_us, cancelling,
    sent_us, earlier
)
SELECT position, op_id, collection, record, user, op, state, created_us, attempts, ever_sent,
    unanswered, request_id, retry_at_us, code, field, words, params, seq, received_us, cancelling,
    sent_us, earlier
FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_by_position RENAME TO outbox;
CREATE INDEX outbox_by_record ON outbox (collection, record);
-- Holds all that the counts need, so that counting reads no ops.
CREATE INDEX outbox_by_state ON outbox (state, user, retry_at_us, created_us, seq);
-- The codes of what failed are counted for every report; the rows hold whole ops.
CREATE INDEX outbox_failed ON outbox (code) WHERE state = 'failed';
