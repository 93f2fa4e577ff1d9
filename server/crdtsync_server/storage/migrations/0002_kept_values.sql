-- Values whose own log rows were trimmed, as long as history still tells of them: those
-- that left a record within the retention, and the last loser of each field. A few rows
-- per field; what a record still shows is not here. `why` and `left_seq` are set once the
-- row of the entry that removed the value was trimmed too, which only a last loser outlives.
CREATE TABLE kept_values (
    record INTEGER NOT NULL,
    root TEXT NOT NULL,
    op_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    value TEXT NOT NULL,
    why TEXT,
    left_seq INTEGER,
    PRIMARY KEY (record, root, op_id)
) STRICT, WITHOUT ROWID;
