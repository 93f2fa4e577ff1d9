"""The interface for thin clients: the same ops as over WebSocket, as JSON."""
