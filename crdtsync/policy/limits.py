"""How large a policy and a value may be, each limit with its reason (invariant 9)."""

from __future__ import annotations

MAX_POLICY_BYTES = 256 * 1024
"""Size of a policy file in UTF-8 bytes. The server hands the file to every
replica in one frame, and a person has to be able to read it."""

MAX_COLLECTIONS = 100
"""Collections of a policy: a table for people with more is not read, and
metrics are kept per field."""

MAX_FIELDS = 200
"""Fields of a collection: each is a root of every document of the collection."""

MAX_PROBLEMS = 100
"""Mistakes reported for one file; after so many the file is the wrong file."""

MAX_NAME_CHARS = 64
"""Characters of a collection's or field's name, which every entry's key carries."""

MAX_LABEL_CHARS = 100
"""Characters of a label: it has to fit a button, a column head and a message."""

MAX_LABEL_LANGUAGES = 32
"""Languages of one label."""

MAX_ROLES = 64
"""Roles in one `write` or `delete` list."""

MAX_ROLE_CHARS = 64
"""Characters of a role's name."""

MAX_CHOICES = 200
"""Choices of a field: people choose from a list that fits a screen or two."""

MAX_TYPE_NESTING = 4
"""How deep `list<…>` and `map<…>` may nest in a type; deeper values are `json`."""

MAX_VALUE_BYTES = 64 * 1024
"""UTF-8 bytes of the canonical text of one entry. A value is copied into the
log, the outbox, the history and every replica; files belong elsewhere."""

MAX_JSON_DEPTH = 32
"""Levels of arrays and objects in a value. Parsers of other languages recurse."""

MAX_ELEMENTS = 1_000
"""Elements of a list, set or map. Each write replaces the whole value."""

MAX_DECIMAL_DIGITS = 34
"""Digits of a decimal, before and after the point together: what IEEE 754
decimal128 holds, so every database and language can carry it."""

MAX_SAFE_INTEGER = 2**53 - 1
"""Largest integer that a browser can hold without changing it."""

MAX_PATTERN_CHARS = 200
"""Characters of a pattern: a longer one cannot be checked by the person who signs."""

MAX_PATTERN_NESTING = 8
"""Groups inside groups of a pattern."""

MAX_PATTERN_TEXT_CHARS = 500
"""Texts longer than this are refused by a field with a pattern and without
`max_length`: the work of matching grows with the length of the text."""

MAX_PATTERN_STEPS = 2**20
"""Upper bound of the matcher's steps for one text. A million take about ten
milliseconds, which is what a hostile client can cost the server per value."""
