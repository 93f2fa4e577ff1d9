"""What the product team is told: measures against targets, reconciliation, Go or No-Go."""
