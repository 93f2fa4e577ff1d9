"""apsw's SQLite, spoken to as if it were the standard library's.

Only apsw lets Python code be the disk beneath SQLite. ``Connection`` has those
methods of ``sqlite3.Connection`` that crdtsync uses, with the same results and
the same exceptions, so the stores run on it as they are.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import apsw

_KINDS: dict[type[sqlite3.Error], tuple[int, ...]] = {
    sqlite3.InternalError: (apsw.SQLITE_INTERNAL, apsw.SQLITE_NOTFOUND),
    sqlite3.OperationalError: (
        *(apsw.SQLITE_ERROR, apsw.SQLITE_PERM, apsw.SQLITE_ABORT, apsw.SQLITE_BUSY),
        *(apsw.SQLITE_LOCKED, apsw.SQLITE_READONLY, apsw.SQLITE_INTERRUPT, apsw.SQLITE_IOERR),
        *(apsw.SQLITE_FULL, apsw.SQLITE_CANTOPEN, apsw.SQLITE_PROTOCOL, apsw.SQLITE_SCHEMA),
    ),
    sqlite3.DataError: (apsw.SQLITE_TOOBIG,),
    sqlite3.IntegrityError: (apsw.SQLITE_CONSTRAINT, apsw.SQLITE_MISMATCH),
    sqlite3.InterfaceError: (apsw.SQLITE_MISUSE, apsw.SQLITE_RANGE),
}
_KIND_OF = {code: kind for kind, codes in _KINDS.items() for code in codes}
_WORDS = {
    apsw.SQLITE_IOERR: "disk I/O error",
    apsw.SQLITE_FULL: "database or disk is full",
    apsw.SQLITE_CANTOPEN: "unable to open database file",
    apsw.SQLITE_BUSY: "database is locked",
}


class MachineGone(sqlite3.OperationalError):
    """The process that asked is gone, or its whole machine: nobody hears this answer."""

    def __init__(self) -> None:
        super().__init__("the machine is gone")
        self.sqlite_errorcode = apsw.SQLITE_IOERR
        self.sqlite_errorname = "SQLITE_IOERR"


class Opening:
    """One process's hold on a disk. Once it is gone, nothing of it reaches the disk."""

    __slots__ = ("is_gone",)

    def __init__(self) -> None:
        self.is_gone = False


class Cursor:
    """What a statement gave: ``sqlite3.Cursor``, as far as crdtsync uses it."""

    __slots__ = ("_connection", "_raw", "lastrowid", "rowcount")

    def __init__(
        self, connection: Connection, raw: apsw.Cursor, rowcount: int, lastrowid: int | None
    ) -> None:
        self._connection = connection
        self._raw = raw
        self.rowcount = rowcount
        self.lastrowid = lastrowid

    def fetchone(self) -> Any:
        """The next row, or None."""
        try:
            return self._raw.fetchone()
        except Exception as error:
            raise self._connection.translated(error) from error

    def fetchall(self) -> list[Any]:
        """The rows that are left."""
        try:
            return self._raw.fetchall()
        except Exception as error:
            raise self._connection.translated(error) from error

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row


class Connection:
    """One opening of a database on a simulated disk.

    Transactions are explicit. Dead (``abandon``, or a machine that is gone in the
    middle of a statement), every call raises MachineGone.
    """

    def __init__(
        self,
        raw: apsw.Connection,
        opening: Opening,
        released: Callable[[], None],
        *,
        checkpoint_pages: int,
    ) -> None:
        self._raw = raw
        self._opening = opening
        self._released = released
        self._checkpoint_pages = checkpoint_pages
        self._checkpoint_is_due = False
        # SQLite goes on when its own checkpoint after a commit fails, but apsw would
        # raise the disk's exception out of the COMMIT. So the checkpoint is made here.
        raw.set_wal_hook(self._committed)

    @property
    def is_gone(self) -> bool:
        """Whether the process or machine that this was opened by is gone."""
        return self._opening.is_gone

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open. SQLite may have rolled one back by itself."""
        if self._opening.is_gone:
            return False
        try:
            return self._raw.in_transaction
        except apsw.Error as error:
            raise self.translated(error) from error

    @property
    def total_changes(self) -> int:
        """How many rows were changed since this was opened."""
        if self._opening.is_gone:
            return 0
        try:
            return self._raw.total_changes()
        except apsw.Error as error:
            raise self.translated(error) from error

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), /) -> Cursor:
        """Run a statement."""
        if self._opening.is_gone:
            raise MachineGone
        raw = self._raw
        if (pages := _auto_checkpoint(sql)) is not None:
            self._checkpoint_pages = pages
            sql = "PRAGMA wal_autocheckpoint"
        try:
            cursor = raw.execute(sql, parameters)
            if _changes_rows(sql):
                result = Cursor(self, cursor, raw.changes(), raw.last_insert_rowid())
            else:
                result = Cursor(self, cursor, -1, None)
        except Exception as error:
            raise self.translated(error) from error
        if self._checkpoint_is_due:
            self._checkpoint()
        return result

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        """Run a statement that changes rows once for each set of parameters."""
        if self._opening.is_gone:
            raise MachineGone
        raw = self._raw
        try:
            before = raw.total_changes()
            cursor = raw.executemany(sql, parameters)
            changed = raw.total_changes() - before
        except Exception as error:
            raise self.translated(error) from error
        if self._checkpoint_is_due:
            self._checkpoint()
        return Cursor(self, cursor, changed, None)

    def create_collation(self, name: str, compare: Callable[[str, str], int] | None, /) -> None:
        """Name an order of texts."""
        try:
            self._raw.create_collation(name, compare)
        except Exception as error:
            raise self.translated(error) from error

    def close(self) -> None:
        """Close. As SQLite does, copy the log into the database if that goes well."""
        if self._opening.is_gone:
            self.abandon()
            return
        try:
            self._raw.close()
        except Exception as error:
            if self._opening.is_gone:
                raise self.translated(error) from error
            # A disk that fails now leaves the log where it is; SQLite does not tell.
        self._released()

    def abandon(self) -> None:
        """The process is gone: nothing that this connection held reaches the disk."""
        self._opening.is_gone = True
        with contextlib.suppress(MachineGone, apsw.Error):
            self._raw.close()
        self._released()

    def translated(self, error: Exception) -> Exception:
        """What the standard library would have raised."""
        if self._opening.is_gone:
            self.abandon()
            return MachineGone()
        return translated(error)

    def _committed(self, _: apsw.Connection, database: str, pages: int) -> int:
        self._checkpoint_is_due = 0 < self._checkpoint_pages <= pages
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        self._checkpoint_is_due = False
        try:
            self._raw.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except Exception as error:
            if self._opening.is_gone:
                raise self.translated(error) from error
            # As in SQLite: what is committed stays so; the next commit tries again.


def translated(error: Exception) -> Exception:
    """The exception of sqlite3 for one of apsw's, with code and name of the result."""
    if not isinstance(error, apsw.Error):
        return sqlite3.ProgrammingError(*error.args) if isinstance(error, KeyError) else error
    if not hasattr(error, "extendedresult"):
        return sqlite3.ProgrammingError(str(error))
    code: int = error.extendedresult
    primary = code & 0xFF
    kind = _KIND_OF.get(primary, sqlite3.DatabaseError)
    found = kind(str(error) or _WORDS.get(primary, ""))
    found.sqlite_errorcode = code
    names = apsw.mapping_result_codes if code == primary else apsw.mapping_extended_result_codes
    found.sqlite_errorname = str(names[code])
    return found


@lru_cache(maxsize=1_024)
def _changes_rows(sql: str) -> bool:
    return re.match(r"\s*(--.*\n\s*)*(insert|update|delete|replace)\b", sql, re.I) is not None


@lru_cache(maxsize=1_024)
def _auto_checkpoint(sql: str) -> int | None:
    """The pages after which a statement asks for checkpoints: never SQLite's to make here."""
    found = re.fullmatch(r"\s*PRAGMA\s+wal_autocheckpoint\s*=\s*(\d+)\s*;?\s*", sql, re.I)
    return int(found[1]) if found else None
