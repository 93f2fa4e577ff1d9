"""The records of the benchmarks: patients of ten fields, the same for ours and for every peer.

What stands in them follows from their number alone, so that anybody can check what was
read, and ``peers/node-pouch/patients.mjs`` makes the same ones.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from datetime import date
from typing import Any

from crdtsync.documents.ops import EntryId, FieldWrite, Op
from crdtsync.policy import Policy

POLICY = Policy.parse(
    """
version = 1
[patient.fields]
first     = { type = "string" }
last      = { type = "string" }
birthdate = { type = "date" }
gender    = { type = "string" }
phone     = { type = "string", merge = "user-latest" }
address   = { type = "string" }
city      = { type = "string" }
zip       = { type = "string" }
ward      = { type = "string" }
allergies = { type = "set<string>", merge = "manual" }
""",
    source="the policy of the benchmarks",
)
PATIENT = POLICY.collection("patient")
SPACE = "ward-3"
USER = "nurse-kim"

FIRST = [
    "Minji",
    "Seojun",
    "Jiwoo",
    "Hayoon",
    "Dohyun",
    "Bertie",
    "Gilberto",
    "Noreen",
    "Ana",
    "Karl",
]
LAST = ["Kim", "Lee", "Park", "Choi", "Jung", "Schneider", "Schulz", "Miller", "Okafor", "Novak"]
CITY = ["Seoul", "Busan", "Daegu", "Incheon", "Gwangju", "Daejeon", "Ulsan", "Suwon"]
ALLERGY = ["penicillin", "latex", "peanut", "shellfish", "dust", "mould"]

LAST_NAMES = 1_000
"""Different ones: a query for one finds 100 of 100,000 patients."""


def record_id(number: int) -> str:
    """The id of a patient."""
    return f"p-{number:07d}"


def patient(number: int) -> dict[str, Any]:
    """The fields of a patient."""
    return {
        "first": f"{FIRST[number % 10]}{number % 1000}",
        "last": last_name(number),
        "birthdate": date(1930 + number % 90, 1 + number % 12, 1 + number % 28),
        "gender": "FM"[number % 2],
        "phone": phone(number, 0),
        "address": f"{number % 997} Reinger Mews {number % 89}",
        "city": CITY[number % 8],
        "zip": f"{number * 7919 % 100_000:05d}",
        "ward": f"ward {number % 40}",
        "allergies": {ALLERGY[(number + 2 * nth) % 6] for nth in range(number % 3)},
    }


def last_name(number: int) -> str:
    """One of ``LAST_NAMES``."""
    return f"{LAST[number % 10]}{number // 10 % (LAST_NAMES // 10)}"


def phone(number: int, edit: int) -> str:
    """What a patient's phone is after so many edits."""
    return f"010-{number * 7919 % 10**7:07d}-{edit}"


def spread_over(count: int, records: int) -> list[int]:
    """Numbers of ``count`` patients that lie all over ``records``, in no order, none twice
    as long as there are enough."""
    step = 7_919 if records % 7_919 else 7_907
    return [number * step % records for number in range(count)]


def op_id_of(number: int, edit: int) -> str:
    """The op_id of a patient's edit, as random as any but known."""
    digest = hashlib.blake2b(b"%d %d" % (number, edit), digest_size=16).digest()
    return str(uuid.UUID(bytes=digest, version=4))


def op_on(number: int, edit: int, fields: Mapping[str, Any], now_us: int) -> Op:
    """A patient's edit, by somebody who has seen the one before it (edit 0 begins the record)."""
    seen = (EntryId(op_id_of(number, edit - 1), 0),) if edit else ()
    writes = {
        PATIENT.field(name).root: FieldWrite((PATIENT.field(name).encode(value),), seen)
        for name, value in fields.items()
    }
    return Op(op_id_of(number, edit), USER, "patient", record_id(number), now_us, writes)
