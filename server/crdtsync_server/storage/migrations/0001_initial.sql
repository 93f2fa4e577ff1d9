-- A place in a log is one integer, `position` = space id * 2^40 + seq, so the log
-- is a plain append to a table without any further index.

-- One row per space: the committed head of its log.
CREATE TABLE spaces (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    seq INTEGER NOT NULL DEFAULT 0,
    digest BLOB NOT NULL DEFAULT x'',
    received_us INTEGER NOT NULL DEFAULT 0,
    log_start INTEGER NOT NULL DEFAULT 1,
    created_us INTEGER NOT NULL
) STRICT;

-- One row per accepted op, never deleted: it is the op's receipt as well. Below
-- `spaces.log_start` only the values are gone from `entry`.
CREATE TABLE log (
    position INTEGER PRIMARY KEY,
    content_digest BLOB NOT NULL,
    entry BLOB NOT NULL,
    request_id BLOB NOT NULL,
    replica INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    created_us INTEGER NOT NULL
) STRICT;

-- Where an op_id is in the log. Keys are random, so rows are as small as can be.
CREATE TABLE receipts (
    op_id BLOB PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The visible entries of each record, as of its last log entry.
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    space INTEGER NOT NULL,
    collection TEXT NOT NULL,
    record TEXT NOT NULL,
    position INTEGER NOT NULL,
    state BLOB NOT NULL,
    UNIQUE (space, collection, record)
) STRICT;

-- First sync pages by it: newest record first.
CREATE INDEX records_by_position ON records (position);

-- Entries that were superseded before they arrived. They go when they arrive.
CREATE TABLE graves (
    op_id BLOB NOT NULL,
    root TEXT NOT NULL,
    n INTEGER NOT NULL,
    space INTEGER NOT NULL,
    collection TEXT NOT NULL,
    record TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (op_id, root, n, space, collection, record)
) STRICT, WITHOUT ROWID;

-- The life of a conflict: open, then resolved or agreed, perhaps open again.
CREATE TABLE conflicts (
    id INTEGER PRIMARY KEY,
    space INTEGER NOT NULL,
    collection TEXT NOT NULL,
    record TEXT NOT NULL,
    root TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'resolved', 'agreed')),
    opened_us INTEGER NOT NULL,
    changed_us INTEGER NOT NULL,
    reopened INTEGER NOT NULL DEFAULT 0,
    candidates BLOB NOT NULL
) STRICT;

CREATE INDEX conflicts_by_field ON conflicts (space, collection, record, root, id);
CREATE INDEX conflicts_open ON conflicts (space, opened_us) WHERE status = 'open';

-- What happened to a conflict, entry by entry of the log.
CREATE TABLE conflict_events (
    conflict INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    user TEXT NOT NULL,
    op_id TEXT NOT NULL,
    candidates BLOB NOT NULL,
    PRIMARY KEY (conflict, seq)
) STRICT, WITHOUT ROWID;

-- What is known of each replica. `outbox` is a msgpack OutboxSummary.
CREATE TABLE replicas (
    id INTEGER PRIMARY KEY,
    space INTEGER NOT NULL,
    replica_id TEXT NOT NULL,
    run TEXT,
    user TEXT NOT NULL,
    device TEXT NOT NULL DEFAULT '',
    software TEXT NOT NULL DEFAULT '',
    cursor_seq INTEGER NOT NULL DEFAULT 0,
    cursor_us INTEGER NOT NULL DEFAULT 0,
    outbox BLOB,
    first_seen_us INTEGER NOT NULL,
    last_seen_us INTEGER NOT NULL,
    UNIQUE (space, replica_id)
) STRICT;

-- Digests over the ops that a replica saw acknowledged, for reconciliation.
CREATE TABLE acknowledged (
    replica INTEGER NOT NULL,
    to_seq INTEGER NOT NULL,
    from_seq INTEGER NOT NULL,
    count INTEGER NOT NULL,
    digest BLOB NOT NULL,
    received_us INTEGER NOT NULL,
    PRIMARY KEY (replica, to_seq)
) STRICT, WITHOUT ROWID;

-- Every policy that this server went by.
CREATE TABLE policies (
    version INTEGER PRIMARY KEY,
    hash TEXT NOT NULL,
    text TEXT NOT NULL,
    first_used_us INTEGER NOT NULL
) STRICT;
