-- What is recorded about how ops travelled: for traces, reports and measures, never for
-- deciding. Everything here is trimmed with the log's retention (observing/trimming.py), and
-- written only where the setting `trace` is on.
--
-- Keys that are random (a request_id) or spread out (a user) are indexed within blocks of
-- 256 rows, so that a group of ops touches a handful of pages and not one per request. A
-- search asks block by block: `id >> 8 = ? AND request_id = ?`.

-- One row per hello that was admitted, and the connection that it opened. `ended_us` and
-- `code` are set when it ends (1006: cut, or the server was killed; the next start sets it).
-- `skew_us`: the device's clock minus the server's, as the hello arrived.
CREATE TABLE connections (
    id INTEGER PRIMARY KEY,
    replica INTEGER NOT NULL,
    user TEXT NOT NULL,
    connected_us INTEGER NOT NULL,
    ended_us INTEGER,
    code INTEGER,
    skew_us INTEGER NOT NULL,
    cursor_seq INTEGER NOT NULL,
    head_seq INTEGER NOT NULL,
    outbox BLOB
) STRICT;

CREATE INDEX connections_of_replica ON connections (replica, connected_us);
CREATE INDEX connections_by_time ON connections (connected_us);
CREATE INDEX connections_open ON connections (id) WHERE ended_us IS NULL;

-- One row per transaction that decided ops. `committed_us` and `published_us` are written by
-- a later transaction; they are NULL where the server was killed before that.
CREATE TABLE groups (
    id INTEGER PRIMARY KEY,
    decided_us INTEGER NOT NULL,
    committed_us INTEGER,
    published_us INTEGER
) STRICT;

CREATE INDEX groups_by_time ON groups (decided_us);

-- One row per push. `received_us` is when its frame was read; `grp` is NULL where no group
-- decided it (a failing disk, a full queue). The log rows that came of it are `first_seq` to
-- `last_seq`, without a gap; both are NULL where nothing was accepted.
CREATE TABLE requests (
    id INTEGER PRIMARY KEY,
    request_id BLOB NOT NULL,
    space INTEGER NOT NULL,
    replica INTEGER NOT NULL,
    user TEXT NOT NULL,
    grp INTEGER,
    received_us INTEGER NOT NULL,
    first_seq INTEGER,
    last_seq INTEGER,
    accepted INTEGER NOT NULL,
    duplicate INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    held INTEGER NOT NULL,
    transient INTEGER NOT NULL
) STRICT;

CREATE INDEX requests_by_time ON requests (received_us);
CREATE INDEX requests_by_request_id ON requests (id >> 8, request_id);
CREATE INDEX requests_by_user ON requests (id >> 8, user);

-- One row per op of a push that did not enter the log by that push. `number` is the device's
-- count of its attempts, this one included; `created_us` is the device's clock.
CREATE TABLE attempts (
    op_id BLOB NOT NULL,
    request INTEGER NOT NULL,
    result TEXT NOT NULL CHECK (result IN ('duplicate', 'refused', 'held', 'transient')),
    code TEXT,
    field TEXT,
    collection TEXT NOT NULL,
    record TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    number INTEGER NOT NULL
) STRICT;

CREATE INDEX attempts_of_op ON attempts (op_id);
CREATE INDEX attempts_of_request ON attempts (request);
CREATE INDEX attempts_of_record ON attempts (collection, record);

-- What a device told of its earlier attempts without success, those that never arrived
-- included: at most 8 per op. `request` is the push that told it; `sent_us` is the device's clock.
CREATE TABLE client_attempts (
    op_id BLOB NOT NULL,
    request_id BLOB NOT NULL,
    sent_us INTEGER NOT NULL,
    ended TEXT NOT NULL,
    request INTEGER NOT NULL,
    PRIMARY KEY (op_id, request_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX client_attempts_by_push ON client_attempts (request);
CREATE INDEX client_attempts_by_request_id ON client_attempts (request_id);

-- When a replica was known to hold everything up to `seq`: the newest 1,000 per replica.
CREATE TABLE cursor_reports (
    replica INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    PRIMARY KEY (replica, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX cursor_reports_by_time ON cursor_reports (at_us);
