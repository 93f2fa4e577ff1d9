"""The simulator: the real code of both sides in a world of virtual time and seeded faults.

What runs is the real replica, outbox, sync shell, client session, server
session, ingest, settling and both SQLite schemas. What is modelled is the
machine under them: the event loop's clock, the network, the wall clocks, the
disk below SQLite (through its VFS), processes and people. Not modelled: the
WebSocket library, TLS, threads, and the operating system's file locks; these
have tests of their own with real processes and sockets.

Everything comes from one seed, so a run that fails can be had again.
"""
