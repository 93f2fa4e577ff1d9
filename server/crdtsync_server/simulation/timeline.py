"""What happened in a run, line by line, for people who look for the reason."""

from __future__ import annotations

from crdtsync_server.simulation.frame_words import words_of


class Timeline:
    """Lines with their virtual time. Kept only when somebody wants to read them."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._lines: list[tuple[float, str, str]] = []

    def add(self, at_s: float, who: str, words: str) -> None:
        """Something happened."""
        if self._keep:
            self._lines.append((at_s, who, words))

    def frame(self, at_s: float, device: str, way: str, frame: bytes) -> None:
        """A frame was sent."""
        if self._keep:
            arrow = "→ server" if way == "up" else "← server"
            self._lines.append((at_s, f"{device} {arrow}", words_of(way, frame)))

    def lines(self) -> list[str]:
        """The timeline as text."""
        return [f"{_clock(at_s)}  {who:<20} {words}" for at_s, who, words in self._lines]


def _clock(at_s: float) -> str:
    minutes, seconds = divmod(at_s, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{seconds:09.6f}"
