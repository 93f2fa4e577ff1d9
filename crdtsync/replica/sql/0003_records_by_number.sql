-- Records lie in the order in which they came, with their names in an index beside them:
-- in a table without rowids a row of more than a kilobyte takes whole pages of its own, and
-- a first sync whose ids are random tears those pages up again and again.
CREATE TABLE records_by_number (
    n INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    deleted INTEGER NOT NULL,
    conflicts INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    stale INTEGER NOT NULL DEFAULT 0,
    view TEXT NOT NULL,
    state BLOB,
    UNIQUE (collection, id)
);
INSERT INTO records_by_number (collection, id, deleted, conflicts, pending, stale, view, state)
SELECT collection, id, deleted, conflicts, pending, stale, view, state FROM records;
DROP TABLE records;
ALTER TABLE records_by_number RENAME TO records;
CREATE INDEX records_in_conflict ON records (collection, id) WHERE conflicts > 0;
CREATE INDEX records_stale ON records (collection, id) WHERE stale = 1;
-- The few that no list shows, so that lists and counts need nothing but the index of names.
CREATE INDEX records_unlisted ON records (collection, id) WHERE deleted <> 0 OR view = '';
