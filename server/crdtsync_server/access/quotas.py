"""How much one connection, user, space or address may ask for.

Token buckets that may go into debt: whoever asks while the bucket holds anything is
served whole, and the debt is paid back at the bucket's rate. Who comes too early is
told when, and each of them another time, one behind the other: so many who were
told to wait do not come back at one moment.

Time comes in as microseconds; nothing here sleeps, and nothing is random.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from crdtsync_server.access.settings import AccessSettings

BURST_S = 10.0
"""What a bucket holds when it is full, in seconds of its rate: a device that comes back
from a day without a network sends its queue at once."""

LONGEST_WAIT_MS = 30_000
"""The longest delay that is asked for: a flood of some must not send others away for long."""

SHORTEST_WAIT_MS = 100

MAX_BUCKETS = 10_000
"""Per kind. Those of whom nobody has heard for a while are full again, and go; if all of
them are in use, the older half goes, and whose they were begin with full ones."""

CONNECTION_RETRY_MS = 30_000
"""When to come back where too many are connected."""


class Bucket:
    """One allowance. ``take`` is the only way to use it."""

    __slots__ = ("_burst", "_level", "_promised_us", "_rate", "_seen_us")

    def __init__(self, rate_per_s: float, now_us: int) -> None:
        self._rate = rate_per_s
        self._burst = rate_per_s * BURST_S
        self._level = self._burst
        self._seen_us = now_us
        self._promised_us = now_us

    def has_any(self, now_us: int) -> bool:
        """Whether something is left."""
        if now_us != self._seen_us:
            self._fill(now_us)
        return self._level > 0

    def wait_ms(self, now_us: int) -> int:
        """0 where something is left, else in how many milliseconds there is again."""
        if self.has_any(now_us):
            return 0
        return max(SHORTEST_WAIT_MS, round((1 - self._level) / self._rate * 1_000))

    def take(self, count: int) -> None:
        """Use ``count``, on credit if need be. After ``wait_ms`` said 0."""
        self._level -= count

    def appoint(self, count: int, now_us: int) -> int:
        """When somebody who was sent away should come back with ``count``, in milliseconds:
        behind everybody who was sent away before."""
        free_us = now_us + self.wait_ms(now_us) * 1_000
        when_us = max(free_us, self._promised_us)
        self._promised_us = min(
            when_us + round(count / self._rate * 1_000_000), now_us + LONGEST_WAIT_MS * 1_000
        )
        return min((when_us - now_us) // 1_000, LONGEST_WAIT_MS)

    def is_idle(self, now_us: int) -> bool:
        """Whether it is full, so that nothing is lost when it goes."""
        self._fill(now_us)
        return self._level >= self._burst

    def _fill(self, now_us: int) -> None:
        elapsed_us = now_us - self._seen_us
        self._seen_us = now_us
        if elapsed_us <= 0:
            # A clock that was set back gives nothing, and takes nothing away.
            self._promised_us = min(self._promised_us, now_us + LONGEST_WAIT_MS * 1_000)
            return
        level = self._level + elapsed_us * self._rate / 1_000_000
        self._level = level if level < self._burst else self._burst


class Buckets:
    """One bucket per name, as long as the name is busy."""

    def __init__(self, rate_per_s: float) -> None:
        self._rate = rate_per_s
        self._buckets: dict[str, Bucket] = {}
        self._sweep_at = 64

    def __len__(self) -> int:
        return len(self._buckets)

    def of(self, name: str, now_us: int) -> Bucket:
        """The bucket of ``name``."""
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= self._sweep_at:
                self._sweep(now_us)
            bucket = self._buckets[name] = Bucket(self._rate, now_us)
        return bucket

    def _sweep(self, now_us: int) -> None:
        kept = {name: one for name, one in self._buckets.items() if not one.is_idle(now_us)}
        # Half of them at once, so that a crowd of names costs no sweep for each.
        excess = len(kept) - MAX_BUCKETS // 2
        for name in list(kept)[: max(excess, 0)]:
            del kept[name]
        self._buckets = kept
        # Twice what is busy: a sweep costs as much as the calls since the last one.
        self._sweep_at = min(max(64, 2 * len(kept)), MAX_BUCKETS)


@dataclass(frozen=True, slots=True)
class TooMany:
    """Nobody more may connect; ``words`` say of what there are too many."""

    words: str
    retry_after_ms: int = CONNECTION_RETRY_MS


class Seats:
    """Counts who is connected, in all, by user and by space."""

    def __init__(self, settings: AccessSettings) -> None:
        self._settings = settings
        self.taken = 0
        self._users: dict[str, int] = {}
        self._spaces: dict[str, int] = {}

    def take(self, user: str, space: str) -> TooMany | None:
        """Count one more, unless a limit is reached. ``leave`` gives it back."""
        settings = self._settings
        if self.taken >= settings.connections:
            return TooMany(f"this server takes {settings.connections} connections at once")
        if self._users.get(user, 0) >= settings.connections_per_user:
            return TooMany(
                f"{user} is connected {settings.connections_per_user} times already; "
                "close some of them"
            )
        if self._spaces.get(space, 0) >= settings.connections_per_space:
            return TooMany(f"this space takes {settings.connections_per_space} connections at once")
        self.taken += 1
        self._users[user] = self._users.get(user, 0) + 1
        self._spaces[space] = self._spaces.get(space, 0) + 1
        return None

    def leave(self, user: str, space: str) -> None:
        """One of those that ``take`` counted is gone."""
        self.taken -= 1
        for counts, name in ((self._users, user), (self._spaces, space)):
            counts[name] -= 1
            if not counts[name]:
                del counts[name]


class Quotas:
    """Every allowance of a server."""

    def __init__(self, settings: AccessSettings) -> None:
        self.seats = Seats(settings)
        self._settings = settings
        self._users = Buckets(settings.ops_per_s_per_user)
        self._spaces = Buckets(settings.ops_per_s_per_space)
        self._requests = Buckets(settings.requests_per_s_per_client)

    def connection(self, now_us: int) -> Bucket:
        """A bucket for the ops of one connection."""
        return Bucket(self._settings.ops_per_s_per_connection, now_us)

    def ops(self, connection: Bucket | None, user: str, space: str, count: int, now_us: int) -> int:
        """Use ``count`` ops of every allowance; or, where one is used up, use none and
        say in how many milliseconds to come back (0: served)."""
        of_user, of_space = self._users.of(user, now_us), self._spaces.of(space, now_us)
        if connection is None:
            return _use((of_user, of_space), count, now_us)
        return _use((connection, of_user, of_space), count, now_us)

    def request(self, client: str, now_us: int) -> int:
        """Use one HTTP request of a user or an address; else milliseconds to wait."""
        return _use((self._requests.of(client, now_us),), 1, now_us)

    @property
    def names_held(self) -> int:
        """Users, spaces and addresses that have a bucket now."""
        return len(self._users) + len(self._spaces) + len(self._requests)


def _use(buckets: Sequence[Bucket], count: int, now_us: int) -> int:
    for bucket in buckets:
        if not bucket.has_any(now_us):
            # The narrowest comes first: who floods a connection does not move
            # the appointments of the whole space.
            return max(bucket.appoint(count, now_us), SHORTEST_WAIT_MS)
    for bucket in buckets:
        bucket.take(count)
    return 0


def client_name(host: str | None) -> str:
    """The name by which an address is counted: an IPv6 network of 64 bits is one client."""
    if host is None:
        return "?"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "?"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
