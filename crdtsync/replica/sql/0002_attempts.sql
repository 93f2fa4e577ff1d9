-- When an op was last sent, and its newest attempts without success (a msgpack list of
-- EarlierAttempt; NULL where there are none).
ALTER TABLE outbox ADD COLUMN sent_us INTEGER;
ALTER TABLE outbox ADD COLUMN earlier BLOB;
-- The codes of what failed are counted for every report; the rows hold whole ops.
CREATE INDEX outbox_failed ON outbox (code) WHERE state = 'failed';
