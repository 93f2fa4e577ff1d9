"""What requests of the interface for thin clients hold: bodies and query parameters."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from crdtsync.documents.ops import MAX_ID_BYTES, SAFE_INTEGER

PAGE = 100
"""Items of a page where no limit is given."""

MAX_PAGE = 500

MAX_WAIT_S = 30
"""How long a long poll may take: shorter than the patience of usual proxies."""

MAX_BATCH_OPS = 200
"""Ops of one batch, as over WebSocket."""

Lang = Literal["en", "ko"]
Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE, description="Items of a page.")]
Seq = Annotated[int, Meta(ge=0, le=SAFE_INTEGER)]
NAME_FORM = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"
"""No control characters and no line ends; at most 256 bytes of UTF-8."""

SpaceName = Annotated[
    str, Meta(min_length=1, max_length=MAX_ID_BYTES, extra_json_schema={"pattern": NAME_FORM})
]
Cursor = Annotated[str, Meta(max_length=1_024, description="`next` of the page before.")]
Words = Annotated[
    Lang, Meta(description="The language of words; else Accept-Language, else English.")
]
Digest = Annotated[
    str,
    Meta(
        pattern="^([0-9a-f]{32})?$",
        description="Of the log at `since`, to notice a restore. Empty where the log begins.",
    ),
]
SeqBefore = Annotated[
    int,
    Meta(ge=0, le=SAFE_INTEGER, description="`next` of the page before; else from the newest."),
]
ReadVersion = Annotated[
    str, Meta(description="The record's `version`, as If-Match of a single write.")
]
TimeUs = Annotated[
    int,
    Meta(
        ge=0,
        le=SAFE_INTEGER,
        description="When the person wrote it, by their clock; else the time of arrival.",
    ),
]
OpId = Annotated[
    str,
    Meta(
        pattern="^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
        description="A UUID v4 in lower case.",
    ),
]
ElementId = tuple[OpId, Annotated[int, Meta(ge=0, le=999)]]


class Query(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Query parameters. Each may be given once."""

    lang: Words | None = None


class NoQuery(Query, kw_only=True, frozen=True):
    """Only the language."""


class PageQuery(Query, kw_only=True, frozen=True):
    """A page of something."""

    limit: Limit = PAGE
    after: Cursor | None = None


class RecordsQuery(PageQuery, kw_only=True, frozen=True):
    """Which records. `where.FIELD=VALUE` comes on top, for any field."""

    conflicts: Annotated[
        bool, Meta(description="Only records with a field that waits for a person.")
    ] = False
    deleted: Annotated[bool, Meta(description="The deleted records in place of the others.")] = (
        False
    )


class HistoryQuery(Query, kw_only=True, frozen=True):
    """A page of a record's history."""

    before: SeqBefore | None = None


class ConflictsQuery(PageQuery, kw_only=True, frozen=True):
    """Which conflicts."""

    space: SpaceName
    status: Literal["open", "resolved", "agreed", "all"] = "open"
    collection: str | None = None
    record: Annotated[
        str | None, Meta(description="Only those of this record; `collection` has to be given too.")
    ] = None


class ChangesQuery(Query, kw_only=True, frozen=True):
    """Where in the log to go on, and how long to wait for more."""

    space: SpaceName
    since: Annotated[Seq, Meta(description="The last seq that was read; 0 from the start.")] = 0
    digest: Digest | None = None
    limit: Limit = PAGE
    wait_s: Annotated[
        float, Meta(ge=0, le=MAX_WAIT_S, description="How long to wait for the first change.")
    ] = 0


class DevicesQuery(PageQuery, kw_only=True, frozen=True):
    """Which replicas."""

    space: SpaceName
    mine: Annotated[bool, Meta(description="Only those of the asking person.")] = False


class BatchQuery(Query, kw_only=True, frozen=True):
    """Where the ops go."""

    space: SpaceName


class Body(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A request's body. Unknown names are refused: a misspelt one would be a lost write."""


class PatchBody(Body, kw_only=True, frozen=True):
    """Fields to write, in one op. A field may be named once."""

    fields: Annotated[
        dict[str, Any],
        Meta(description="Values by field; null clears. A set is assigned as a whole."),
    ] = {}
    increment: Annotated[
        dict[str, int | float | str],
        Meta(description="Numbers to add to counters; decimals as text."),
    ] = {}
    add: Annotated[dict[str, list[Any]], Meta(description="Elements to add to sets.")] = {}
    remove: Annotated[
        dict[str, list[Any]], Meta(description="Elements to take out of sets, as far as seen.")
    ] = {}
    time_us: TimeUs | None = None


class ResolveBody(Body, kw_only=True, frozen=True):
    """A choice between the candidates of a field."""

    field: str
    value: Any
    seen: Annotated[
        list[ElementId],
        Meta(
            min_length=1,
            max_length=1_000,
            description="(op_id, n) of every entry that the person saw. One that is not named "
            "stays, and keeps the conflict open.",
        ),
    ]
    time_us: TimeUs | None = None


class Choice(Body, kw_only=True, frozen=True):
    """A choice within a batch."""

    field: str
    value: Any
    seen: Annotated[list[ElementId], Meta(min_length=1, max_length=1_000)]


class BatchOp(Body, kw_only=True, frozen=True):
    """One op of a batch: fields to write, or exactly one of delete, restore and resolve."""

    op_id: OpId
    collection: str
    id: str
    fields: dict[str, Any] = {}
    increment: dict[str, int | float | str] = {}
    add: dict[str, list[Any]] = {}
    remove: dict[str, list[Any]] = {}
    delete: bool = False
    restore: bool = False
    resolve: Choice | None = None
    time_us: TimeUs | None = None
    if_match: ReadVersion | None = None
    create: Annotated[
        bool, Meta(description="Only if there is no such record, as If-None-Match: * does.")
    ] = False


class BatchBody(Body, kw_only=True, frozen=True):
    """Ops for several records, or several for one. Each is judged on its own."""

    ops: Annotated[list[BatchOp], Meta(min_length=1, max_length=MAX_BATCH_OPS)]
