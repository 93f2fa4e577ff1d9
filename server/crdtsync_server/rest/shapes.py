"""What the interface for thin clients answers: the types behind the JSON and behind OpenAPI.

Times are microseconds since 1970, as integers named ``…_us``; ids of ops and
requests are UUID v4 in lower case. A field that the reader may not read is in
none of these, under no name.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from crdtsync.catalogue import PolicyTable
from crdtsync.documents.state import Outcome, Why


class Shape(msgspec.Struct, kw_only=True, frozen=True):
    """Base of every answer."""


EntryName = tuple[str, int]
"""(op_id, n): one entry of a field. ``seen`` of a choice is a list of them."""


class Candidate(Shape, kw_only=True, frozen=True):
    """One distinct value of a field in conflict, and who wrote it."""

    op_id: str
    n: int
    value: Any
    user: str
    device: str
    """A name for people: "tablet", "ward phone 3"; "" where it is not known."""
    time_us: int
    """When its author wrote it, by the author's clock."""
    received_us: int
    """When the server received it."""
    entries: list[EntryName]
    """Every entry with this value (equal values count as one). A choice sends those of all
    candidates that the person saw as `seen`."""


class Record(Shape, kw_only=True, frozen=True):
    """A record as the reader may see it."""

    collection: str
    id: str
    version: str
    """What was read: the ETag without its quotes, for If-Match and `if_match`."""
    deleted: bool
    """Deleted records keep their values: restore brings them back."""
    updated_us: int
    """When the server received the last change that the reader may know of."""
    updated_by: str
    fields: dict[str, Any]
    """Every field that may be read: its value, null where it was never written or was
    cleared, 0 for a counter, [] for a set. A field in conflict is not here."""
    conflicts: dict[str, list[Candidate]]
    """Every field in conflict: none of its values is *the* value until a person chose."""


class RecordPage(Shape, kw_only=True, frozen=True):
    """A page of records by id."""

    records: list[Record]
    next: str | None
    """For `after`; null at the end. A page may be empty and still have a next one."""


class Receipt(Shape, kw_only=True, frozen=True):
    """The op is in the log, and stays. The same op_id always gets the same receipt."""

    op_id: str
    seq: int
    received_us: int
    outcomes: dict[str, Outcome]
    """By field; "" stands for the record itself (a delete or a restore)."""


class Written(Shape, kw_only=True, frozen=True):
    """A write that was accepted."""

    receipt: Receipt | None
    """null where there was nothing to change, so that no op was made."""
    record: Record
    """The record after the commit. Look at `conflicts`: a choice leaves a conflict open
    where another value arrived meanwhile."""


class Refusal(Shape, kw_only=True, frozen=True):
    """Why one op of a batch was not accepted."""

    status: int
    """The HTTP status that the same write alone would have got."""
    code: str
    detail: str
    field: str | None = None
    words: str = ""
    """The reason for people, to stand inside of a sentence."""
    retry_after_s: int | None = None
    """Set where the same op may be sent again as it is."""
    candidates: list[Candidate] | None = None


Status = Literal["accepted", "unchanged", "refused", "held", "transient"]


class BatchResult(Shape, kw_only=True, frozen=True):
    """What became of one op of a batch."""

    op_id: str
    collection: str
    id: str
    status: Status
    """`held`: an earlier op of the batch on the same record was not accepted."""
    receipt: Receipt | None = None
    version: str | None = None
    """The record's version after the whole batch."""
    problem: Refusal | None = None


class BatchWritten(Shape, kw_only=True, frozen=True):
    """One result per op, in their order. Ops are judged one by one: some may be refused."""

    request_id: str
    results: list[BatchResult]
    accepted: int
    refused: int


class PastValue(Shape, kw_only=True, frozen=True):
    """What one op wrote into one field, and what became of it."""

    name: str
    label: str
    value: Any | UnsetType = UNSET
    """Of a register and a counter (the number added); absent where it is not kept any more."""
    values: list[Any] | UnsetType = UNSET
    """The elements added to a set."""
    removed: int = 0
    """Elements that this op took out of a set."""
    fate: Literal["stands"] | Why | Literal["left", "partly"]
    """`left`: it is gone, and how is not known any more. `partly`: some elements of a set
    still stand."""
    fate_words: str
    replaced_by: str | None = None
    """The op_id that made it leave."""
    replaced_by_user: str | None = None


class PastOp(Shape, kw_only=True, frozen=True):
    """One op of a record's history."""

    seq: int
    op_id: str
    request_id: str
    """The attempt by which it arrived."""
    user: str
    device: str
    time_us: int
    received_us: int
    fields: list[PastValue]
    deleted: bool | None = None
    """true for a delete, false for a restore, null for everything else."""
    revived: bool = False
    """It brought a record back that was deleted elsewhere, or is a delete that did not hold."""


class HistoryPage(Shape, kw_only=True, frozen=True):
    """Ops on one record, newest first."""

    entries: list[PastOp]
    complete: bool
    """false where the server's retention has cut what lies further back."""
    next: int | None
    """For `before`; null at the end."""


class ConflictEvent(Shape, kw_only=True, frozen=True):
    """One step in the life of a conflict."""

    seq: int
    kind: str
    """opened, changed, reopened, resolved or agreed."""
    at_us: int
    user: str
    op_id: str
    value: Any | UnsetType = UNSET
    """What this op wrote into the field; absent if nothing, or if it is not kept any more."""
    candidates: list[EntryName]
    """The entries that stood in the field afterwards."""


class Conflict(Shape, kw_only=True, frozen=True):
    """A field with several values between which a person has to choose, or had to."""

    id: int
    collection: str
    record: str
    record_label: str
    """A name of the record for people: its first text field, else its id."""
    collection_label: str
    field: str
    label: str
    status: Literal["open", "resolved", "agreed"]
    opened_us: int
    changed_us: int
    reopened: int
    """How often a late write opened it again."""
    candidates: list[Candidate]
    """The values that stand now; of a conflict that was settled, the one that was chosen."""
    events: list[ConflictEvent]


class ConflictPage(Shape, kw_only=True, frozen=True):
    """Conflicts, the oldest first."""

    conflicts: list[Conflict]
    next: str | None
    """For `after`; null at the end."""


class ChangedField(Shape, kw_only=True, frozen=True):
    """What an op did to one field."""

    outcome: Outcome
    """`superseded`: another value stands there. `conflict`: a person has to choose."""
    values: list[Any]
    """What was written: one value, the elements added to a set, the number added to a
    counter; empty where only elements were taken out."""


class Change(Shape, kw_only=True, frozen=True):
    """One entry of the space's log."""

    seq: int
    digest: str
    """Names this place in this log; send it as `digest` to notice a restored server."""
    op_id: str
    user: str
    collection: str
    record: str
    time_us: int
    received_us: int
    fields: dict[str, ChangedField]
    deleted: bool | None = None
    """true for a delete, false for a restore, null for everything else."""
    revived: bool = False


class ChangePage(Shape, kw_only=True, frozen=True):
    """A page of the space's log."""

    changes: list[Change]
    next: int
    """For `since`. It advances past entries that the reader may not read."""
    digest: str
    """Of the log at `next`."""
    head: int
    """The last seq of the space."""


class Space(Shape, kw_only=True, frozen=True):
    """A space that the reader may enter, in numbers of what they may read."""

    name: str
    head: int
    records: int | None
    """Records that were ever written, deleted ones included; 100000 stands for as many or
    more. null where the reader may not read every field of a collection that they see: the
    number would tell of records of which everything is hidden."""
    open_conflicts: int
    devices: int


class SpacePage(Shape, kw_only=True, frozen=True):
    """Spaces by name."""

    spaces: list[Space]
    next: str | None


class RefusedOp(Shape, kw_only=True, frozen=True):
    """An op of a device that the server did not accept."""

    op_id: str
    collection: str
    record: str
    field: str | None
    code: str
    words: str
    at_us: int
    request_id: str


class Device(Shape, kw_only=True, frozen=True):
    """A replica, and what it last reported of itself."""

    replica_id: str
    device: str
    user: str
    software: str
    cursor_seq: int
    """Everything up to here is on the device."""
    head_seq: int
    last_seen_us: int
    connected: bool
    pending: int
    failed: int
    signed_out: int
    oldest_age_ms: int
    """Age of its oldest change that the server does not have, as of `last_seen_us`."""
    reasons: dict[str, int]
    """Its failed changes by reason."""
    skew_us: int | None
    """The device's clock minus the server's, at its last sign-in."""
    refused: list[RefusedOp]
    """The newest ones that were not accepted later."""


class DevicePage(Shape, kw_only=True, frozen=True):
    """The replicas of a space, the one seen last first."""

    devices: list[Device]
    next: str | None


class Me(Shape, kw_only=True, frozen=True):
    """Who the server takes the reader for."""

    user: str
    roles: list[str]
    spaces: list[str] | None
    """null: every space."""
    expires_us: int | None
    """When the sign-in ends."""
    dev: bool
    """Whether this server trusts every name."""
    server_us: int
    policy_version: int


class FieldRules(Shape, kw_only=True, frozen=True):
    """One field of the policy. The roles are those of the policy; null: everyone."""

    name: str
    label: str
    type: str
    merge: str
    merge_words: str
    required: bool
    read: list[str] | None
    write: list[str] | None
    readable: bool
    """Whether the asking person may read it."""
    writable: bool
    limits: str
    """The limits in words. The four below are the same for programs; in a list, a set or a
    map they hold for each of its innermost values."""
    max_length: int | None
    """Of a text, in code points."""
    min: int | float | str | None
    """Inclusive. Decimals, dates and times are text, as values are."""
    max: int | float | str | None
    choices: list[Any] | None


class CollectionRules(Shape, kw_only=True, frozen=True):
    """One collection of the policy."""

    name: str
    label: str
    read: list[str] | None
    delete: list[str] | None
    readable: bool
    deletable: bool
    on_delete_conflict: str
    fields: list[FieldRules]


class PolicyRules(Shape, kw_only=True, frozen=True):
    """The policy that the server goes by."""

    version: int
    hash: str
    text: str
    """The file itself."""
    targets: dict[str, float]
    collections: list[CollectionRules]
    signed_table: PolicyTable
    """The policy in words: what people sign."""


class ProblemDetails(Shape, kw_only=True, frozen=True):
    """An answer other than the one that was asked for (RFC 9457). Some have further members."""

    type: str
    title: str
    status: int
    detail: str
    """What, where, and the cure."""
    code: str
    """For programs; never changes its meaning."""
    request_id: str
    field: str | UnsetType | None = UNSET
    words: str | UnsetType = UNSET
    """The reason for people, to stand inside of a sentence."""
    candidates: list[Candidate] | UnsetType = UNSET
    """The values of a field in conflict, to choose from with resolve."""
