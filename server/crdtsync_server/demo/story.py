"""The story of the demo. What is shown is read from the devices and the server."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from crdtsync.catalogue.vocabulary import MERGE_RULES
from crdtsync.cli.choosing import Choosing, conflict_view, keep_all
from crdtsync.cli.history_command import history_table
from crdtsync.documents.conflict import Conflict, moment
from crdtsync.policy_file import Policy
from crdtsync.protocol.messages import Answer, Receipt
from crdtsync.replica.record import Record
from crdtsync.replica.replica import Replica
from crdtsync_server.demo.asking import ask
from crdtsync_server.demo.network import Network
from crdtsync_server.demo.repeats import BareClient, QueuedOp, last_queued
from crdtsync_server.demo.telling import Teller
from crdtsync_server.demo.watching import SYNCED, Claim, QueueWatch
from crdtsync_server.service import RunningServer

SPACE = "ward-3"
NURSE, DOCTOR = "nurse-kim", "dr-lee"
PATIENT = "p-17"
TIMEOUT_S = 20


@dataclass(slots=True)
class Device:
    """One device of the story."""

    replica: Replica
    queue: QueueWatch
    name: str

    @property
    def record(self) -> Record:
        """The patient as this device shows it now."""
        return self.replica.collection("patient")[PATIENT]


async def tell_story(folder: Path, *, lang: str, choose: bool, kept: bool) -> bool:
    """Play and tell the story; whether every claim held."""
    text = resources.files("crdtsync.cli").joinpath("starter_policy.toml").read_text("utf-8")
    policy = Policy.parse(text, source="the demo's policy")
    network = Network()
    teller = Teller(lang)
    async with (
        RunningServer(policy=policy, data=folder / "server", dev=True) as server,
        _replica(folder / "tablet.db", NURSE, policy, network) as tablet,
        _replica(folder / "phone.db", DOCTOR, policy, network) as phone,
    ):
        devices = (
            Device(tablet, QueueWatch(tablet), teller.words("tablet", user=NURSE)),
            Device(phone, QueueWatch(phone), teller.words("phone", user=DOCTOR)),
        )
        story = Story(teller, policy, network, server.url, folder, devices)
        async with devices[0].queue.following(), devices[1].queue.following():
            await story.play(choose)
        story.finish()
    if kept:
        teller.out.print(teller.words("kept_in", folder=folder), soft_wrap=True)
    return all(claim.holds for claim in story.claims)


def _replica(path: Path, user: str, policy: Policy, network: Network) -> Replica:
    return Replica.open(
        path, space=SPACE, policy=policy, user=user, device=path.stem, dial=network.dial
    )


class Story:
    """The chapters in order, and the claims that they lead to."""

    def __init__(
        self,
        teller: Teller,
        policy: Policy,
        network: Network,
        url: str,
        folder: Path,
        devices: tuple[Device, Device],
    ) -> None:
        self.claims: list[Claim] = []
        self._teller = teller
        self._policy = policy
        self._rules = policy.collection("patient")
        self._network = network
        self._url = url
        self._folder = folder
        self._devices = devices
        self._tablet, self._phone = devices

    async def play(self, choose: bool) -> None:
        """Every chapter."""
        await self._begin()
        await self._work_offline()
        await self._reconnect()
        await self._plain_field()
        await self._conflict(choose)
        await self._send_twice()
        await self._check_log()

    def finish(self) -> None:
        """Show what was checked."""
        self._teller.claims(self.claims)

    # ── chapters ────────────────────────────────────────────────────────────

    async def _begin(self) -> None:
        patients = self._tablet.replica.collection("patient")
        await patients.create(
            id=PATIENT, name="Kim Minji", phone="010-1111-2222", allergies={"peanut"}
        )
        self._look()
        for device in self._devices:
            device.replica.connect(self._url)  # once: from now on they reconnect by themselves
        await self._all_synced()
        words = self._teller.words
        self._teller.chapter(
            "intro_title",
            words("intro", url=self._url, space=self._tablet.replica.space),
            words("start_alike"),
            self._side_by_side(),
        )

    async def _work_offline(self) -> None:
        await self._network.cut()
        tablet = self._tablet.replica.collection("patient")
        phone = self._phone.replica.collection("patient")
        await tablet.update(PATIENT, phone="010-1234-5678", allergies={"peanut", "latex"})
        await tablet.increment(PATIENT, "visits")
        await phone.update(PATIENT, phone="010-9876-5432", allergies={"peanut", "penicillin"})
        await phone.increment(PATIENT, "visits")
        self._look()
        words = self._teller.words
        self._teller.chapter(
            "offline_title",
            words("offline"),
            words("apart"),
            self._side_by_side(),
            self._teller.states(
                [
                    (d.name, [d.queue.changes[item.op_id] for item in d.replica.outbox])
                    for d in self._devices
                ]
            ),
            "\n".join(
                words("says", device=d.name, message=d.replica.status.message(self._teller.lang))
                for d in self._devices
            ),
        )

    async def _reconnect(self) -> None:
        waiting = {d.name: [item.op_id for item in d.replica.outbox] for d in self._devices}
        self._network.mend()
        await self._all_synced()
        self._look()
        seen = [
            (d.name, [d.queue.changes[op_id] for op_id in waiting[d.name]]) for d in self._devices
        ]
        words = self._teller.words
        self._teller.chapter(
            "reconnect_title",
            words("reconnect"),
            self._teller.states(seen),
            "\n".join(
                words("says", device=d.name, message=d.replica.status.message(self._teller.lang))
                for d in self._devices
            ),
        )
        whole = all(
            change.states[0] == "pending"
            and "sending" in change.states
            and change.states[-1] == SYNCED
            for _, changes in seen
            for change in changes
        )
        self._claim("claim_states", whole)

    async def _plain_field(self) -> None:
        field = self._rules.fields["phone"]
        lang, words = self._teller.lang, self._teller.words
        past = await self._tablet.replica.collection("patient").history(PATIENT, field.name)
        shown = [device.record[field.name] for device in self._devices]
        label, rule = field.label_in(lang), MERGE_RULES[field.merge].in_lang(lang)
        counter = self._rules.fields["visits"]
        self._teller.chapter(
            "plain_title",
            words("plain", field=label, rule=rule),
            words("plain_result", value=self._teller.value(shown[0])),
            history_table(past, field, lang),
            words(
                "counter",
                field=counter.label_in(lang),
                value=self._teller.value(self._phone.record[counter.name]),
            ),
        )
        standing = [item for item in past if item.visible]
        gone = [item for item in past if not item.visible and item.left_because]
        last = max(past, key=lambda item: item.at)
        self._claim(
            "claim_plain",
            past.complete
            and [item.op_id for item in standing] == [last.op_id]
            and shown == [last.value] * 2
            and any(item.left_because == "lost_user_time" for item in gone),
        )

    async def _conflict(self, choose: bool) -> None:
        field = self._rules.fields["allergies"]
        lang, words = self._teller.lang, self._teller.words
        found = [device.record[field.name] for device in self._devices]
        conflict = found[0]
        both = [_candidates(value) for value in found]
        self._claim("claim_both_values", len(both[0]) == 2 and both[0] == both[1])
        if not isinstance(conflict, Conflict):
            return
        self._teller.chapter(
            "conflict_title",
            words("conflict", rule=MERGE_RULES[field.merge].in_lang(lang)),
            conflict_view(conflict, field, lang),
            words("union", values=self._teller.value(conflict.union())),
        )
        choosing = Choosing(conflict, field, lang)
        if choose:
            await ask(choosing, self._teller.out)
        chosen: object = choosing.value if choose else keep_all(conflict)
        if choose and not choosing.decided:
            self._teller.chapter("choice_title", words("not_chosen"), self._side_by_side())
            still = [_candidates(device.record[field.name]) for device in self._devices]
            self._claim("claim_open", still == both)
            return
        await conflict.resolve(chosen, if_unchanged=True)
        self._look()
        await self._all_synced()
        past = await self._phone.replica.collection("patient").history(PATIENT, field.name)
        key = "chose" if choose else "chose_all"
        self._teller.chapter(
            "choice_title",
            words(key, user=past[0].user, value=self._teller.value(past[0].value)),
            words("alike"),
            self._side_by_side(),
            words("history_of_choice"),
            history_table(past, field, lang),
        )
        values = [device.record[field.name] for device in self._devices]
        settled = not any(isinstance(value, Conflict) for value in values)
        self._claim("claim_choice", settled and all(value == chosen for value in values))

    async def _send_twice(self) -> None:
        field = self._rules.fields["visits"]
        before = self._tablet.record[field.name]
        await self._network.cut()
        await self._tablet.replica.collection("patient").increment(PATIENT, field.name)
        self._look()
        queued = await last_queued(self._tablet.replica, self._folder)
        async with self._bare() as client:
            first, second = await client.send_twice(queued)
        self._network.mend()
        await self._all_synced()
        self._look()
        async with self._bare() as client:
            rows = (await client.log_rows("patient", PATIENT))[queued.op.op_id]
        self._tell_twice(queued, (first, second), rows, before)
        after = [device.record[field.name] for device in self._devices]
        self._claim("claim_same_receipt", isinstance(first, Receipt) and first == second)
        self._claim(
            "claim_counted_once",
            rows == 1 and after == [before + 1] * 2,
            before=before,
            after=after[0],
        )

    def _tell_twice(
        self, queued: QueuedOp, answers: tuple[Answer, Answer], rows: int, before: int
    ) -> None:
        label = self._rules.fields["visits"].label_in(self._teller.lang)
        words = self._teller.words
        after = ", ".join(str(device.record["visits"]) for device in self._devices)
        seen = self._tablet.queue.changes[queued.op.op_id]
        self._teller.chapter(
            "twice_title",
            words("twice", field=label),
            self._teller.facts(
                [
                    (words("op_number"), queued.op.op_id),
                    (words("first_receipt"), self._receipt(answers[0])),
                    (words("second_receipt"), self._receipt(answers[1])),
                    (words("on_tablet"), self._teller.state_words(seen)),
                    (words("log_rows"), rows),
                    (words("count_before", field=label), before),
                    (words("count_after", field=label), after),
                ]
            ),
        )

    async def _check_log(self) -> None:
        written = {op_id for device in self._devices for op_id in device.queue.changes}
        async with self._bare() as client:
            rows: Counter[str] = await client.log_rows("patient", PATIENT)
        once = set(rows) == written and all(n == 1 for n in rows.values())
        self._claim("claim_all_in_log", once and len(written) > 0, n=len(written))
        empty = not any(device.replica.outbox for device in self._devices)
        self._claim("claim_queues_empty", empty)
        records: list[dict[str, Any]] = [device.record.to_json() for device in self._devices]
        self._claim("claim_alike", records[0] == records[1])

    # ── inside ──────────────────────────────────────────────────────────────

    async def _all_synced(self) -> None:
        """Both devices send and get everything; the second round brings what the other sent."""
        for _ in range(2):
            await asyncio.gather(
                *(device.replica.synced(timeout=TIMEOUT_S) for device in self._devices)
            )

    def _look(self) -> None:
        for device in self._devices:
            device.queue.look()

    def _bare(self) -> BareClient:
        return BareClient(self._url, SPACE, NURSE, self._policy)

    def _side_by_side(self) -> Any:
        return self._teller.side_by_side([(d.name, d.record) for d in self._devices], self._rules)

    def _receipt(self, answer: Answer) -> str:
        if not isinstance(answer, Receipt):
            return repr(answer)
        time = moment(answer.received_us).astimezone().strftime("%H:%M:%S.%f")
        return self._teller.words("receipt", seq=answer.seq, time=time)

    def _claim(self, key: str, holds: bool, **params: object) -> None:
        self.claims.append(Claim(self._teller.words(key, **params), holds))


def _candidates(value: object) -> list[tuple[object, str]]:
    """What a device shows of a field in conflict; empty where it is in none."""
    if not isinstance(value, Conflict):
        return []
    return [(candidate.value, candidate.user) for candidate in value.candidates]
