"""Everything that a thin client can ask, in one table: routes and OpenAPI are made of it."""

from __future__ import annotations

from collections.abc import Mapping

from crdtsync_server.rest.batch import write_batch
from crdtsync_server.rest.bodies import (
    BatchBody,
    BatchQuery,
    ChangesQuery,
    ConflictsQuery,
    DevicesQuery,
    HistoryQuery,
    PageQuery,
    PatchBody,
    RecordsQuery,
    ResolveBody,
)
from crdtsync_server.rest.calls import Header, Operation
from crdtsync_server.rest.conflicts import list_conflicts
from crdtsync_server.rest.devices import list_devices
from crdtsync_server.rest.following import EVENT_ID, get_changes
from crdtsync_server.rest.history import get_history
from crdtsync_server.rest.people import get_me, get_policy, list_spaces
from crdtsync_server.rest.records import get_record, list_records
from crdtsync_server.rest.shapes import (
    BatchWritten,
    ChangePage,
    ConflictPage,
    DevicePage,
    HistoryPage,
    Me,
    PolicyRules,
    Record,
    RecordPage,
    SpacePage,
    Written,
)
from crdtsync_server.rest.writes import (
    delete_record,
    patch_record,
    resolve_conflict,
    restore_record,
)

COLLECTION = "/v1/spaces/{space}/{collection}"
RECORD = f"{COLLECTION}/{{id}}"

UUID4 = "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
ETAG = r'^"[0-9]{1,16}-[0-9a-f]{8}"$'

IDEMPOTENCY_KEY = Header(
    name="Idempotency-Key",
    required=True,
    description="A UUID v4, new for each write: it becomes the op_id. The same one again gets "
    "the first receipt; with other content it is refused.",
    schema={"type": "string", "pattern": UUID4, "format": "uuid"},
)
BATCH_KEY = Header(
    name="Idempotency-Key",
    required=True,
    description="A UUID v4: the request_id of the batch. What makes a repeat harmless is the "
    "op_id of each op.",
    schema={"type": "string", "pattern": UUID4, "format": "uuid"},
)
IF_MATCH = Header(
    name="If-Match",
    description="The ETag of the record as the person had read it. Without it the write "
    "replaces what is there when it is made.",
    schema={"type": "string", "pattern": ETAG},
)
CREATE_ONLY = Header(
    name="If-None-Match",
    description="`*`: only if there is no such record.",
    schema={"type": "string", "enum": ["*"]},
)
IF_NONE_MATCH = Header(
    name="If-None-Match",
    description="ETags that are at hand: 304 while the record is still one of them.",
)

_UNKNOWN: Mapping[int, str] = {
    404: "unknown_collection, unknown_record: there is no such thing, as far as you may know.",
    422: "bad_record_id, bad_space: a name that nothing can have. In a filter: unknown_field, "
    "bad_value, and the codes of values that do not fit.",
}
_WRITING: Mapping[int, str] = {
    404: "unknown_collection, unknown_record.",
    409: "op_id_reused, record_deleted, not_deleted, conflict (choose with resolve), "
    "id_collision, too_many_candidates, space_full.",
    412: "stale_version: a plain field was written since you read it. record_exists.",
    413: "too_large: the body.",
    422: "bad_body: the body does not fit. nothing_to_write, field_twice, unknown_field, "
    "bad_value, bad_supersedes, too_many_unseen, bad_text, or the code of a value that does "
    "not fit its field, such as wrong_type, out_of_range, too_long; `field` names where.",
}
_WITH_BODY: Mapping[int, str] = {
    408: "too_slow: the body did not come.",
    415: "unsupported_media_type: the body has to be application/json.",
}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/v1/me",
        name="getMe",
        summary="Who the server takes you for, and what you may enter.",
        handler=get_me,
        answer=Me,
        space_in=None,
    ),
    Operation(
        method="GET",
        path="/v1/policy",
        name="getPolicy",
        summary="The policy: what each field means, and what of it you may read and write.",
        handler=get_policy,
        answer=PolicyRules,
        space_in=None,
    ),
    Operation(
        method="GET",
        path="/v1/spaces",
        name="listSpaces",
        summary="The spaces that you may enter.",
        handler=list_spaces,
        answer=SpacePage,
        query=PageQuery,
        space_in=None,
    ),
    Operation(
        method="GET",
        path=COLLECTION,
        name="listRecords",
        summary="Records of a collection by id, a page at a time.",
        handler=list_records,
        answer=RecordPage,
        query=RecordsQuery,
        takes_filters=True,
        problems=_UNKNOWN,
    ),
    Operation(
        method="GET",
        path=RECORD,
        name="getRecord",
        summary="One record, deleted ones too.",
        handler=get_record,
        answer=Record,
        headers=(IF_NONE_MATCH,),
        problems={**_UNKNOWN, 304: "The record is still that of the ETag."},
        has_etag=True,
    ),
    Operation(
        method="PATCH",
        path=RECORD,
        name="patchRecord",
        summary="Write fields of a record, in one op; a record that is not there yet begins.",
        handler=patch_record,
        answer=Written,
        body=PatchBody,
        headers=(IDEMPOTENCY_KEY, IF_MATCH, CREATE_ONLY),
        problems={**_WRITING, **_WITH_BODY},
        has_etag=True,
    ),
    Operation(
        method="DELETE",
        path=RECORD,
        name="deleteRecord",
        summary="Delete a record. An edit that nobody had seen by then brings it back.",
        handler=delete_record,
        answer=Written,
        headers=(IDEMPOTENCY_KEY, IF_MATCH),
        problems=_WRITING,
        has_etag=True,
    ),
    Operation(
        method="POST",
        path=f"{RECORD}/restore",
        name="restoreRecord",
        summary="Bring a deleted record back, with the values that it has.",
        handler=restore_record,
        answer=Written,
        headers=(IDEMPOTENCY_KEY, IF_MATCH),
        problems=_WRITING,
        has_etag=True,
    ),
    Operation(
        method="POST",
        path=f"{RECORD}/resolve",
        name="resolveConflict",
        summary="Choose between the values of a field. One that arrived meanwhile stays.",
        handler=resolve_conflict,
        answer=Written,
        body=ResolveBody,
        headers=(IDEMPOTENCY_KEY, IF_MATCH),
        problems={**_WRITING, **_WITH_BODY},
        has_etag=True,
    ),
    Operation(
        method="GET",
        path=f"{RECORD}/history",
        name="getHistory",
        summary="Every op on a record, newest first, and what became of each value.",
        handler=get_history,
        answer=HistoryPage,
        query=HistoryQuery,
        problems=_UNKNOWN,
    ),
    Operation(
        method="GET",
        path="/v1/conflicts",
        name="listConflicts",
        summary="Fields with several values, between which a person has to choose.",
        handler=list_conflicts,
        answer=ConflictPage,
        query=ConflictsQuery,
        space_in="query",
        problems=_UNKNOWN,
    ),
    Operation(
        method="GET",
        path="/v1/changes",
        name="getChanges",
        summary="The log of a space: pages, long poll (wait_s), or server-sent events.",
        handler=get_changes,
        answer=ChangePage,
        query=ChangesQuery,
        headers=(
            Header(
                name="Last-Event-ID",
                description="Of a stream that was cut: goes on behind this event.",
                schema={"type": "string", "pattern": f"^{EVENT_ID}$"},
            ),
        ),
        streams=True,
        space_in="query",
        problems={
            409: "diverged: this log has no such place; the server was restored from a backup. "
            "`head` and `digest` say where to go on after listing the records.",
            410: "log_trimmed: the log begins later. `head`, `digest` and `log_start` say where "
            "to go on after listing the records.",
            422: "bad_space: a name that no space can have.",
        },
    ),
    Operation(
        method="POST",
        path="/v1/batch",
        name="writeBatch",
        summary="Several writes at once; each is judged on its own, in their order.",
        handler=write_batch,
        answer=BatchWritten,
        query=BatchQuery,
        body=BatchBody,
        headers=(BATCH_KEY,),
        space_in="query",
        problems={
            413: "too_large: the body.",
            422: "bad_body, op_id_twice: the batch as a whole. What is wrong with one op stands "
            "in its result.",
            **_WITH_BODY,
        },
    ),
    Operation(
        method="GET",
        path="/v1/devices",
        name="listDevices",
        summary="The replicas of a space, and what they last reported of themselves.",
        handler=list_devices,
        answer=DevicePage,
        query=DevicesQuery,
        space_in="query",
        problems={422: "bad_space: a name that no space can have."},
    ),
)
