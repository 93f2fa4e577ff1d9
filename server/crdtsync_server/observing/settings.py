"""What the server tells about itself, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LogFormat = Literal["console", "json"]
LOG_FORMATS: tuple[LogFormat, ...] = ("console", "json")

LogLevel = Literal["debug", "info", "warning", "error"]
LOG_LEVELS: tuple[LogLevel, ...] = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class ObservingSettings:
    """Logs, metrics and traces."""

    log_format: LogFormat = "console"
    """For people, or one JSON object a line for machines."""

    log_level: LogLevel = "info"
    """``debug`` logs every push; nothing ever logs tokens or values."""

    metrics: bool = True
    """Count and measure for ``/metrics``. Off, the page says so with 404."""

    trace: bool = True
    """Record each op's way (storage/migrations/0003_observing.sql). Off, traces, reports and
    the dashboard know what is in the log and nothing of attempts that failed."""
