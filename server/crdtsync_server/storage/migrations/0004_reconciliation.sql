-- What devices saw acknowledged, op by op. `op_ids` are the 16 bytes of each op_id that the
-- digest covers, in the order of the log, for the newest ranges of a replica; older ranges are
-- folded into one, which keeps the digest and, in `missing`, the op_ids that the log did not
-- have when it was folded. A device of an earlier version sends no op_ids.
ALTER TABLE acknowledged ADD COLUMN op_ids BLOB NOT NULL DEFAULT x'';
ALTER TABLE acknowledged ADD COLUMN missing BLOB NOT NULL DEFAULT x'';
-- What became of conflicts in a week, without a look at all that ever were.
CREATE INDEX conflict_events_by_time ON conflict_events (at_us);
