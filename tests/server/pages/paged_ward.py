"""A ward to look at in a browser: patients, conflicts, refused changes, retries, two people.

``python -m tests.server.pages.paged_ward --port 8123`` serves one for looking around by hand.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crdtsync import Policy, Replica
from crdtsync.protocol.messages import EarlierAttempt, Push, PushedOp
from crdtsync_server.service import RunningServer, wall_clock_us
from tests.server.serving import FRESH, Wire, hello_of, write

SPACE = "ward-3"
WAIT_S = 30

POLICY = Policy.parse(
    """
version = 4
[targets]
failure_rate = 0.01

[patient]
label = { en = "Patient", ko = "환자" }
delete = ["clinician", "nurse"]
[patient.fields.name]
type = "string"
max_length = 2_100
label = { en = "Name", ko = "이름" }
[patient.fields.phone]
type = "string"
merge = "user-latest"
label = { en = "Phone", ko = "전화번호" }
[patient.fields.allergies]
type = "set<string>"
merge = "manual"
write = ["clinician", "nurse"]
label = { en = "Allergies", ko = "알레르기" }
[patient.fields.dose]
type = "decimal"
merge = "manual"
min = 0
max = 500
write = ["clinician"]
label = { en = "Dose in mg", ko = "용량(mg)" }
[patient.fields.plan]
type = "string"
merge = "manual"
max_length = 2000
label = { en = "Care plan", ko = "간호 계획" }
[patient.fields.blood]
type = "string"
choices = ["A+", "A-", "B+", "B-", "O+", "O-", "AB+", "AB-"]
merge = "manual"
label = { en = "Blood group", ko = "혈액형" }
[patient.fields.born]
type = "date"
merge = "manual"
label = { en = "Born", ko = "생년월일" }
[patient.fields.visits]
type = "integer"
merge = "counter"
label = { en = "Visits", ko = "방문 횟수" }
[patient.fields.tags]
type = "set<string>"
merge = "set"
label = { en = "Tags", ko = "표시" }

[task]
label = { en = "Task", ko = "할 일" }
[task.fields.title]
type = "string"
label = { en = "Title", ko = "제목" }
[task.fields.done]
type = "boolean"
label = { en = "Done", ko = "완료" }
"""
)

NAMES = (
    "Kim Minji",
    "이서준",
    "Park Jiho",
    "최수아",
    "Jung Hana",
    "강도윤",
    "Yoon Seoyeon",
    "임하준",
)
DRUGS = ("penicillin", "latex", "peanut", "aspirin", "iodine", "땅콩", "새우", "ibuprofen")
PROBE = '<img src=x onerror="window.hacked=1">'
RIGHT_TO_LEFT = "مريم العلي"
LONG = "Turn every two hours, check skin over heels and sacrum, " * 12


class Ward:
    """The devices and what they wrote. ``seed`` writes everything and waits until it is there."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self.url = url
        self.web = url.replace("ws://", "http://")
        self.reader: Replica
        """A device that only reads: what a choice in a browser came to, as others see it."""

    def device(self, name: str, user: str) -> Replica:
        """A device of this ward; the same name is the same file again."""
        return Replica.open(
            self._folder / f"{name}.db".replace(" ", "-"),
            space=SPACE,
            policy=POLICY,
            user=user,
            device=name,
        )

    async def seed(self, patients: int = 200) -> None:
        """Everything that the pages can show."""
        async with self.device("ward tablet", "kim") as tablet:
            await self._admit(tablet, patients)
            tablet.connect(self.url)
            await tablet.synced(timeout=WAIT_S)
            async with self.device("lee phone", "lee") as phone:
                phone.connect(self.url)
                await phone.synced(timeout=WAIT_S)
                await phone.disconnect()
                await tablet.disconnect()
                await self._disagree(tablet, phone)
                for one in (tablet, phone, tablet):
                    one.connect(self.url)
                    await one.synced(timeout=WAIT_S)
        await self._refused()
        await self._retried()

    async def _admit(self, tablet: Replica, patients: int) -> None:
        rows: dict[str, Mapping[str, Any]] = {}
        for n in range(patients):
            rows[f"p-{n:03}"] = {
                "name": f"{NAMES[n % len(NAMES)]} {n}",
                "phone": f"010-{1000 + n}-{(n * 7919) % 10000:04}",
                "allergies": {DRUGS[n % 8], DRUGS[(n * 3 + 1) % 8]},
                "dose": f"{5 + n % 50}.5",
                "born": f"19{40 + n % 60}-0{1 + n % 9}-1{n % 10}",
            }
        rows["p-000"] = {**rows["p-000"], "plan": "Walk twice a day", "blood": "A+"}
        await tablet.collection("patient").update_many(rows)
        await tablet.collection("patient").update("p-001", name=PROBE, plan=PROBE)
        await tablet.collection("patient").update("p-002", name=RIGHT_TO_LEFT, plan=LONG)
        await tablet.collection("patient").update("p-003", name="🌷 이봄 👩‍⚕️")
        await tablet.collection("task").update("t-1", title="Order gloves", done=False)
        await tablet.collection("patient").delete(f"p-{patients - 1:03}")

    async def _disagree(self, tablet: Replica, phone: Replica) -> None:
        """Both write while neither sees the other."""
        here, there = tablet.collection("patient"), phone.collection("patient")
        await here.update("p-000", allergies={"penicillin", "latex", "peanut butter", "새우"})
        await there.update("p-000", allergies={"Penicillin V", "latex", "peanut", "iodine"})
        await here.update("p-000", dose="5.0")
        await there.update("p-000", dose="50.0")
        await here.update("p-000", plan="Walk twice a day with help, rest after lunch")
        await there.update("p-000", plan="Walk three times a day with help, no stairs")
        await here.update("p-000", born="1944-03-12")
        await there.update("p-000", born="1944-12-03")
        await here.update("p-001", allergies={PROBE, "latex"})
        await there.update("p-001", allergies={"latex", RIGHT_TO_LEFT})
        await here.update("p-004", blood="O+")
        await there.update("p-004", blood="O-")
        for n in range(5, 9):
            await here.update(f"p-00{n}", allergies={"latex"})
            await there.update(f"p-00{n}", allergies={"latex", "aspirin"})
        await here.update("p-010", phone="010-1111-1111")
        await there.update("p-010", phone="010-2222-2222")
        for collection in (here, there):
            await collection.increment("p-010", "visits")
            await collection.add("p-010", "tags", "fall risk")

    async def _refused(self) -> None:
        """Changes under a role that may not make them; they wait on the device for a person."""
        async with self.device("night desk", "park") as desk:
            await desk.collection("patient").update("p-020", allergies={"aspirin"})
            await desk.collection("patient").update("p-021", dose="12.5", name="Park Jiho 21")
            desk.connect(self.url, token="park:helper")
            async with desk.watch_status() as told:
                async for status in told:
                    if status.needs_person == len(desk.outbox):
                        break
            await desk.disconnect()

    async def _retried(self) -> None:
        """A change that failed twice on its way, and one that was sent again after its receipt."""
        async with await Wire.open(self.url) as wire:
            welcome = await wire.greet(hello_for("kim"))
            await wire.page_all(welcome.paging)
            now_us = wall_clock_us()
            op = write(
                {"r/title": '"Call the pharmacy"'},
                record="t-2",
                collection="task",
                time_us=now_us - 40_000_000,
            )
            earlier = tuple(
                EarlierAttempt(str(uuid.uuid4()), now_us - ago_us, ended)
                for ago_us, ended in ((30_000_000, "cut"), (15_000_000, "no_answer"))
            )
            push = Push(str(uuid.uuid4()), (PushedOp(op, None, op.time_us, 3, earlier),))
            await wire.push_frame(push)
            await wire.push_frame(Push(str(uuid.uuid4()), push.ops))

    async def writes(self, record: str, values: Mapping[str, str], *, user: str = "kim") -> None:
        """One op of ``user`` that has seen nothing of what stands there; values are JSON texts."""
        async with await Wire.open(self.url) as wire:
            welcome = await wire.greet(hello_for(user))
            await wire.page_all(welcome.paging)
            await wire.accept(write(values, user=user, record=record, time_us=wall_clock_us()))

    async def disagrees(self, record: str, field: str, here: str, there: str) -> None:
        """Kim and Lee write JSON texts into one field, neither having seen the other's."""
        await self.writes(record, {f"r/{field}": here, "r/name": f'"Patient {record}"'})
        await self.writes(record, {f"r/{field}": there}, user="lee")

    async def reads(self, record: str) -> Mapping[str, Any]:
        """The record as a replica has it that has just synced."""
        await self.reader.synced(timeout=WAIT_S)
        return dict(self.reader.collection("patient")[record])


def hello_for(user: str) -> Any:
    """A hello of the raw client that fits this ward's policy."""
    return hello_of(
        user,
        space=SPACE,
        policy_version=POLICY.version,
        policy_hash=POLICY.hash,
        cursor=FRESH,
        device="old scanner",
        client_us=wall_clock_us(),
    )


async def serve(port: int, patients: int) -> None:
    """Serve a ward on ``port`` until the process is stopped."""
    with tempfile.TemporaryDirectory() as folder:
        async with RunningServer(
            policy=POLICY, data=Path(folder) / "data", dev=True, port=port
        ) as server:
            await Ward(Path(folder), server.url).seed(patients)
            print(f"http://127.0.0.1:{server.port}/", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--patients", type=int, default=200)
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.port, chosen.patients))
