"""What each field means: types, merge kinds, limits, and who may read and write. Pure.

A policy is one TOML file (`Policy.parse`). A `FieldPolicy` turns Python values into
canonical JSON (`encode`), checks what others wrote (`check`), reads it back
(`decode`) and says which values are equal (`key`).
"""

from .comparison import PolicyChange, PolicyDifference, compare
from .errors import (
    VALUE_CODES,
    InvalidValue,
    PolicyError,
    PolicyProblem,
    UnknownCollection,
    UnknownField,
)
from .fields import CollectionPolicy, FieldPolicy
from .merge import MergeKind
from .policy import Policy
from .targets import Targets
from .value_types import ValueType
from .visibility import Visibility

__all__ = [
    "VALUE_CODES",
    "CollectionPolicy",
    "FieldPolicy",
    "InvalidValue",
    "MergeKind",
    "Policy",
    "PolicyChange",
    "PolicyDifference",
    "PolicyError",
    "PolicyProblem",
    "Targets",
    "UnknownCollection",
    "UnknownField",
    "ValueType",
    "Visibility",
    "compare",
]
