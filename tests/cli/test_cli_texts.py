"""What commands say is whole in both languages and reads as UX.md asks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import crdtsync.cli
import crdtsync_server.demo
import crdtsync_server.simulation
from crdtsync.catalogue.wording import CatalogueError, Words, placeholders
from crdtsync.cli.texts import TEXTS, say
from crdtsync_server.demo.words import TEXTS as DEMO_TEXTS
from crdtsync_server.simulation.words import TEXTS as SIMULATION_TEXTS

# Particles whose form depends on the sound before them, directly after a variable.
PARTICLE_AFTER_VARIABLE = re.compile(
    r"\}['\"’”」)]?(?:을|를|이|가|은|는|와|과|로|으로|이나|나|아|야|이에요|예요|랑|이랑)"
    r"(?=[\s.,!?…·)]|$)"
)
EVERY = [*TEXTS.items(), *DEMO_TEXTS.items(), *SIMULATION_TEXTS.items()]


@pytest.mark.parametrize(("key", "words"), EVERY, ids=[key for key, _ in EVERY])
def test_both_languages_say_the_same_things(key: str, words: Words) -> None:
    assert placeholders(words.en) == placeholders(words.ko) or key == "bad_value"
    assert not PARTICLE_AFTER_VARIABLE.search(words.ko)
    if key != "notice_other":
        assert re.search("[가-힣]", words.ko)
    assert not re.search("[가-힣]", words.en)


@pytest.mark.parametrize(
    ("module", "texts"),
    [
        (crdtsync.cli, TEXTS),
        (crdtsync_server.demo, DEMO_TEXTS),
        (crdtsync_server.simulation, SIMULATION_TEXTS),
    ],
)
def test_every_text_is_used(module: object, texts: dict[str, Words]) -> None:
    folder = Path(str(module.__file__)).parent  # type: ignore[attr-defined]
    composed = {key for key in texts if key.startswith(("notice_", "change_"))}
    table = {"texts.py", "texts_of_files.py", "words.py"}
    named: set[str] = set()
    for file in folder.rglob("*.py"):
        if file.name not in table:
            text = file.read_text(encoding="utf-8")
            named |= set(re.findall(r"[\"']([a-z][a-z_0-9]+)[\"']", text))
    assert set(texts) - named - composed == set()


def test_a_missing_text_or_parameter_is_a_mistake_of_the_program() -> None:
    with pytest.raises(CatalogueError):
        say("no such text", "en")
    with pytest.raises(CatalogueError):
        say("no_replica", "en")
