"""``crdtsync acceptance`` as people and scripts run it: options, exit codes, Ctrl-C, --server."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from crdtsync import Policy, Replica
from crdtsync_server.acceptance.rules import COLLECTION, snippet
from crdtsync_server.acceptance.scenarios import NAMES
from crdtsync_server.service import RunningServer
from tests.acceptance.schema import assert_schema
from tests.cli.command_line import COMMAND, crdtsync, environment, process


def test_a_run_tells_its_verdict_in_korean_and_for_machines_and_removes_its_logs(
    tmp_path: Path,
) -> None:
    page, document = tmp_path / "out.html", tmp_path / "out.json"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = process(
        *("acceptance", "--quick", "--seed", 7, "--lang", "ko"),
        *("--scenario", "three-devices-one-item", "--scenario", "half-open-connection"),
        *("--report", page, "--json", document),
        TMPDIR=str(temporary),
    )
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "진행: 시나리오 1개 통과" in done.stdout
    assert "three-devices-one-item" in done.stdout
    assert "실행 안 함" in done.stdout
    assert "빠른 실행" in done.stdout, "a quick run says so"
    assert "[1/2] 같은 기록을" in done.stderr, "progress"
    assert list(temporary.iterdir()) == []
    result = json.loads(document.read_text(encoding="utf-8"))
    assert_schema(result)
    assert (result["verdict"], result["seed"], result["quick"]) == ("go", 7, True)
    assert [one["status"] for one in result["scenarios"]] == ["passed", "not run"]
    assert result["scenarios"][0]["logs"] is None
    assert '<html lang="ko">' in page.read_text(encoding="utf-8")


def test_the_list_the_policy_and_bad_usage() -> None:
    listed = crdtsync("acceptance", "--list")
    assert listed.exit_code == 0
    assert all(name in listed.stdout for name in NAMES)
    printed = crdtsync("acceptance", "--print-policy")
    assert Policy.parse(f"version = 1\n{printed.stdout}").collections.keys() == {COLLECTION}
    for wrong in (
        ["--scenario", "no-such"],
        ["--server", "http://127.0.0.1:1"],
        ["--server", "https://example.org"],
    ):
        done = crdtsync("acceptance", *wrong, "--lang", "ko")
        assert done.exit_code == 2
        assert wrong[1] in done.stderr
    away = crdtsync("acceptance", "--server", "ws://127.0.0.1:9", "--scenario", "rapid-edits")
    assert away.exit_code == 4
    nothing = crdtsync("acceptance", "--quick", "--scenario", "half-open-connection")
    assert nothing.exit_code == 1, "nothing was shown, so it is no go"
    assert "No-Go" in nothing.stdout


def test_ctrl_c_ends_every_process_keeps_the_logs_and_says_where(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [*COMMAND, "acceptance", "--scenario", "half-open-connection"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(TMPDIR=str(tmp_path)),
        text=True,
    )
    assert running.stderr is not None
    said: list[str] = []
    for line in running.stderr:
        said.append(line)
        if "stopped arriving" in line:
            break
    children = children_of(running.pid)
    assert len(children) == 3, "a server and two devices"
    os.kill(running.pid, signal.SIGINT)
    _, rest = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Traceback" not in rest
    (folder,) = tmp_path.iterdir()
    assert str(folder) in rest
    assert (folder / "01-half-open-connection" / "server.log").exists()
    assert not any(map(is_running, children))


def children_of(pid: int) -> list[int]:
    """The processes that a process has started and that still run."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=True
    )
    return [int(line) for line in listed.stdout.split()]


def is_running(pid: int) -> bool:
    """Whether there is such a process."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


async def run(*args: object) -> subprocess.CompletedProcess[str]:
    """Run the command beside a server of this process."""
    import asyncio

    return await asyncio.to_thread(
        subprocess.run,
        [*COMMAND, "acceptance", *map(str, args)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=90,
        check=False,
    )


OTHER = 'version = {version}\n[patient]\n[patient.fields]\nname = {{ type = "string" }}\n'


async def test_a_named_server_without_the_suites_collection_is_left_alone(tmp_path: Path) -> None:
    rules = Policy.parse(OTHER.format(version=1))
    async with RunningServer(policy=rules, data=tmp_path / "server", dev=True) as server:
        done = await run("--server", server.url)
    assert done.returncode == 2
    assert "--print-policy" in done.stderr


@pytest.mark.parametrize("name", ["three-devices-one-item"])
async def test_on_a_named_server_it_is_proven_over_the_protocol_and_cleaned_up(
    tmp_path: Path, name: str
) -> None:
    rules = Policy.parse(OTHER.format(version=4) + snippet())
    async with RunningServer(policy=rules, data=tmp_path / "server", dev=True) as server:
        options = ("--quick", "--scenario", name, "--scenario", "server-killed", "--json", "-")
        done = await run("--server", server.url, *options)
        assert done.returncode == 0, done.stdout + done.stderr
        result = json.loads(done.stdout)
        assert_schema(result)
        played, not_played = result["scenarios"]
        assert played["proof"] == "protocol"
        assert played["counts"]["acknowledged"] == played["counts"]["written"] > 50
        assert not_played["status"] == "not run"
        assert "server" in not_played["why_not"]["en"]
        (space,) = result["spaces"]
        assert space.startswith("acceptance-1-")
        async with Replica.open(
            tmp_path / "looker.db", space=space, policy=rules, user="looker"
        ) as looker:
            await looker.sync_once(server.url, timeout=20)
            assert len(looker.collection(COLLECTION)) == 0
            assert looker.collection(COLLECTION).get_deleted("item-1") is not None
            assert looker.conflicts() == []
