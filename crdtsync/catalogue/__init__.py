"""What people are told, in English and Korean."""

from .messages import MESSAGE_KEYS, message
from .policy_table import (
    CollectionTable,
    FieldRow,
    NamedText,
    PolicyTable,
    policy_table,
)
from .reasons import REASON_CODES, reason, reason_told
from .trace_words import attempt_ended, note_words, outcome_words, step_words
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
    "attempt_ended",
    "lang_of",
    "message",
    "note_words",
    "outcome_words",
    "policy_table",
    "reason",
    "reason_told",
    "step_words",
]
