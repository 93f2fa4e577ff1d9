"""What people are told, in English and Korean."""

from .messages import MESSAGE_KEYS, message
from .policy_table import (
    CollectionTable,
    FieldRow,
    NamedText,
    PolicyTable,
    policy_table,
)
from .reasons import REASON_CODES, reason
from .wording import LANGS, CatalogueError, Lang, lang_of

__all__ = [
    "LANGS",
    "MESSAGE_KEYS",
    "REASON_CODES",
    "CatalogueError",
    "CollectionTable",
    "FieldRow",
    "Lang",
    "NamedText",
    "PolicyTable",
    "lang_of",
    "message",
    "policy_table",
    "reason",
]
