CREATE TABLE about (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;
-- One row per record that is confirmed or pending. `state` holds confirmed
-- entries only (NULL: none yet); `view` is what is shown, as JSON, for queries.
CREATE TABLE records (
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    state BLOB,
    view TEXT NOT NULL,
    deleted INTEGER NOT NULL,
    conflicts INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    stale INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (collection, id)
) WITHOUT ROWID;
CREATE INDEX records_in_conflict ON records (collection, id) WHERE conflicts > 0;
CREATE INDEX records_stale ON records (collection, id) WHERE stale = 1;
-- The sync queue, in the order of `position`. An edited op keeps its place.
CREATE TABLE outbox (
    op_id TEXT PRIMARY KEY,
    position INTEGER NOT NULL UNIQUE,
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
    cancelling BLOB
);
CREATE INDEX outbox_by_record ON outbox (collection, record, position);
-- Holds all that the counts need, so that counting reads no ops.
CREATE INDEX outbox_by_state ON outbox (state, user, retry_at_us, created_us, seq);
-- Own ops that the log has brought back, kept for a stated time so that they
-- can be offered again to a server that was restored from a backup.
CREATE TABLE accepted (
    op_id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    op BLOB NOT NULL,
    created_us INTEGER NOT NULL,
    accepted_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX accepted_by_seq ON accepted (seq);
-- What this replica has seen of the log: local history.
CREATE TABLE seen (
    seq INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    record TEXT NOT NULL,
    entry BLOB NOT NULL
);
CREATE INDEX seen_by_record ON seen (collection, record, seq);
-- Digests of the log at points that this replica has held.
CREATE TABLE landmarks (
    seq INTEGER PRIMARY KEY,
    digest BLOB NOT NULL
);
-- Things that people must be told once, e.g. what a restored server lost.
CREATE TABLE notices (
    n INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL
);
-- Records that a restored server no longer has, as they were here.
CREATE TABLE lost (
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    state BLOB NOT NULL,
    view TEXT NOT NULL
);
