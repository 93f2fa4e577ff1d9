"""See it: what is recorded of every op's way, metrics, logs and traces."""
