"""Why a server closes a WebSocket: the codes of crdtsync.v1, one line each.

The same code stands in the ``Goodbye`` that goes before it. A replica comes
back after its own backoff unless the line says otherwise.
"""

from __future__ import annotations

NORMAL = 1000
"""The replica said that it is done; nothing is wrong."""

TOO_BIG = 1009
"""A frame larger than ``Limits.frame_bytes`` arrived; sent by the WebSocket layer itself."""

SERVICE_RESTART = 1012
"""The server stops or restarts; everything that it took is committed. Come back soon."""

REFUSED = 4001
"""The hello was refused; the ``Refused`` before it says why and whether to come back."""

PROTOCOL_ERROR = 4002
"""The peer sent what the protocol does not allow. The same program would do it again."""

SIGNED_OUT = 4003
"""The sign-in is not valid, or has ended. Come back with a new one."""

SILENT = 4008
"""Nothing was heard for ``Limits.silence_ms``, or no hello came in time."""

TOO_SLOW = 4009
"""The peer did not read what was sent for too long. Come back and read the log."""

REPLACED = 4010
"""A newer connection of the same replica was accepted; this one serves no more. A copy of
the replica's file learns that it is one when it says hello again."""

SERVER_FAULT = 4011
"""The server met a fault of its own on this connection. Come back later."""

NAMES: dict[int, str] = {
    NORMAL: "normal",
    TOO_BIG: "too_big",
    SERVICE_RESTART: "service_restart",
    REFUSED: "refused",
    PROTOCOL_ERROR: "protocol_error",
    SIGNED_OUT: "signed_out",
    SILENT: "silent",
    TOO_SLOW: "too_slow",
    REPLACED: "replaced",
    SERVER_FAULT: "server_fault",
}
"""The name of each code, for logs and metrics."""
