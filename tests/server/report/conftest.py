from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.report.books import Book


@pytest.fixture
def book() -> Iterator[Book]:
    """An empty database."""
    made = Book()
    yield made
    made.connection.close()
