"""Who asks, what the policy says, and which spaces there are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from crdtsync.catalogue import Lang, policy_table
from crdtsync.catalogue.vocabulary import MERGE_RULES, limits_words
from crdtsync.documents.conflict import plain_json
from crdtsync.policy import CollectionPolicy, FieldPolicy
from crdtsync_server.rest.bodies import PageQuery
from crdtsync_server.rest.calls import Call, json_response
from crdtsync_server.rest.looking import HTTP_REPLICA, Look
from crdtsync_server.rest.shapes import (
    CollectionRules,
    FieldRules,
    Me,
    PolicyRules,
    Space,
    SpacePage,
)


async def get_me(call: Call) -> Response:
    """``GET /v1/me``."""
    identity, service = call.identity, call.service
    return json_response(
        Me(
            user=identity.user,
            roles=sorted(identity.roles),
            spaces=_sorted(identity.spaces),
            expires_us=identity.expires_us,
            dev=service.settings.dev,
            server_us=service.now_us(),
            policy_version=service.policy.version,
        )
    )


# ── the policy ──────────────────────────────────────────────────────────────


async def get_policy(call: Call) -> Response:
    """``GET /v1/policy``."""
    policy = call.service.policy
    return json_response(
        PolicyRules(
            version=policy.version,
            hash=policy.hash,
            text=policy.text,
            targets=asdict(policy.targets),
            collections=[_collection(call, rules) for rules in policy.collections.values()],
            signed_table=policy_table(policy, call.lang),
        )
    )


def _collection(call: Call, rules: CollectionPolicy) -> CollectionRules:
    return CollectionRules(
        name=rules.name,
        label=rules.label_in(call.lang),
        read=_sorted(rules.read),
        delete=_sorted(rules.delete),
        readable=call.sight.seen.sees_collection(rules.name),
        deletable=rules.may_delete(call.identity.roles),
        on_delete_conflict=rules.on_delete_conflict,
        fields=[_field(call, rules, field, call.lang) for field in rules.fields.values()],
    )


def _field(call: Call, rules: CollectionPolicy, field: FieldPolicy, lang: Lang) -> FieldRules:
    choices: list[Any] | None = None
    if field.choices is not None:
        choices = [plain_json(choice) for choice in field.choices]
    return FieldRules(
        name=field.name,
        label=field.label_in(lang),
        type=str(field.type),
        merge=field.merge.value,
        merge_words=MERGE_RULES[field.merge].in_lang(lang),
        required=field.required,
        read=_sorted(field.read),
        write=_sorted(field.write),
        readable=call.sight.seen.may_read(rules.name, field.root),
        writable=field.may_write(call.identity.roles),
        limits=limits_words(field, lang),
        max_length=field.max_length,
        min=None if field.min is None else plain_json(field.min),
        max=None if field.max is None else plain_json(field.max),
        choices=choices,
    )


def _sorted(names: Collection[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)


# ── spaces ──────────────────────────────────────────────────────────────────


async def list_spaces(call: Call) -> Response:
    """``GET /v1/spaces``: those that the sign-in opens."""
    query = call.query
    assert isinstance(query, PageQuery)
    mine = call.identity.spaces
    if mine is None:
        rows = await call.look(
            lambda look: look.all("spaces_after", query.after or "", query.limit + 1)
        )
        names = [row[0] for row in rows]
    else:
        names = sorted(name for name in mine if name > (query.after or ""))
    page = names[: query.limit]
    # One look per space: none of them holds the reading connection for long.
    spaces = [await call.look(_space, name) for name in page]
    more = len(names) > len(page)
    return json_response(SpacePage(spaces=spaces, next=page[-1] if more else None))


MAX_COUNTED = 100_000
"""Records of a space that are counted: a few ms of the reading connection."""


def _records(look: Look) -> int | None:
    """The records that the person may know of; None where they may know of some only, since
    the number would tell how many the others are."""
    seen = look.sight.seen
    shown = list(filter(seen.sees_collection, look.policy.collections))
    if not seen.hiding.isdisjoint(shown):
        return None
    count = 0
    for name in shown:
        left = MAX_COUNTED - count
        count += int(look.one("count_of_collection", look.space_id, name, left)[0])
    return count


def _space(look: Look) -> Space:
    seen = look.sight.seen
    conflicts = sum(
        int(count)
        for collection, root, count in look.all("open_conflict_fields", look.space_id)
        if (rules := look.policy.collections.get(collection)) is not None
        and root in rules.by_root
        and seen.may_read(collection, root)
    )
    return Space(
        name=look.space,
        head=look.head_seq,
        records=_records(look),
        open_conflicts=conflicts,
        devices=int(look.one("count_of_devices", look.space_id, HTTP_REPLICA)[0]),
    )
