"""What ``crdtsync acceptance`` does with its options."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rich.text import Text

from crdtsync.cli.failures import BAD_INPUT, NEEDS_PERSON, NETWORK, OK, Failure
from crdtsync.cli.screen import print_json, table, to_read, to_tell, write_utf8
from crdtsync.errors import CrdtsyncError
from crdtsync.policy import Policy
from crdtsync_server.acceptance.evidence import AUDITOR, policy_of
from crdtsync_server.acceptance.outcome import RunResult
from crdtsync_server.acceptance.page import page
from crdtsync_server.acceptance.reaching import PORTS, Reach, token_for
from crdtsync_server.acceptance.results_json import as_json
from crdtsync_server.acceptance.rules import has_suite, snippet, suite_policy
from crdtsync_server.acceptance.runner import Plan, run, with_logs
from crdtsync_server.acceptance.scenarios import NAMES, SCENARIOS, Scenario
from crdtsync_server.acceptance.telling import Progress, print_result
from crdtsync_server.acceptance.words import tell

PROBE_SPACE = "acceptance-probe"
PROBE_S = 15
STDOUT = "-"
RESULT_NAME = "acceptance.json"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The command line."""

    server: str | None
    names: tuple[str, ...]
    seed: int
    report: Path | None
    json_file: str | None
    logs: Path | None
    quick: bool
    lang: str
    keep_data: Path | None = None
    ca: Path | None = None
    secret_file: Path | None = None

    @property
    def reach(self) -> Reach | None:
        """How the named server is reached."""
        return None if self.server is None else Reach(self.server, self.ca, self.secret_file)


def print_policy() -> None:
    """The snippet that a server's policy file needs."""
    write_utf8(f"\n{snippet()}")


def print_list(lang: str) -> None:
    """Every scenario's name and title."""
    rows = table(tell("column_scenario", lang), "")
    for name in NAMES:
        rows.add_row(name, tell(f"title_{name.replace('-', '_')}", lang))
    to_read().print(rows)


def run_command(wanted: Wanted) -> int:
    """Run what is wanted, tell it, and give the exit code."""
    scenarios = _chosen(wanted)
    _check_reach(wanted)
    if wanted.report is not None:
        # Found out now, and not after five minutes of work.
        wanted.report.parent.mkdir(parents=True, exist_ok=True)
        wanted.report.touch()
    folder = _folder(wanted)
    try:
        result = asyncio.run(_run(wanted, scenarios, folder))
    except (KeyboardInterrupt, asyncio.CancelledError):
        if wanted.report is not None and not wanted.report.stat().st_size:
            wanted.report.unlink()
        to_tell().print("\n" + tell("interrupted", wanted.lang, folder=folder), soft_wrap=True)
        raise KeyboardInterrupt from None
    except CrdtsyncError:
        _remove(folder)
        raise
    asked_to_keep = wanted.logs is not None or wanted.keep_data is not None
    kept = asked_to_keep or bool(result.with_status("failed"))
    if not kept:
        _remove(folder)
    if wanted.keep_data is not None:
        _leave_result(result, folder)
    _tell(wanted, with_logs(result, kept), folder, kept)
    return OK if result.go else NEEDS_PERSON


def _chosen(wanted: Wanted) -> list[Scenario]:
    for name in wanted.names:
        if name not in NAMES:
            known = ", ".join(NAMES)
            raise Failure(tell("unknown_scenario", wanted.lang, name=name, names=known), BAD_INPUT)
    return [one for one in SCENARIOS if not wanted.names or one.name in wanted.names]


def _check_reach(wanted: Wanted) -> None:
    if wanted.server is None:
        if wanted.ca is not None or wanted.secret_file is not None:
            raise Failure(tell("needs_server", wanted.lang), BAD_INPUT)
        return
    _check_url(wanted.server, wanted.lang)
    assert wanted.reach is not None
    try:
        _ = wanted.reach.tls
    except OSError as error:
        words = tell("bad_ca", wanted.lang, file=wanted.ca, error=error.strerror or error)
        raise Failure(words, BAD_INPUT) from error
    if wanted.secret_file is not None:
        token_for(AUDITOR, wanted.secret_file)  # raises, in words, where it is none


def _check_url(url: str, lang: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0
        good = good and parts.path in ("", "/")
    except ValueError:
        good = False
    if not good:
        raise Failure(tell("bad_url", lang, url=url), BAD_INPUT)


def _folder(wanted: Wanted) -> Path:
    if wanted.logs is not None and wanted.keep_data is not None:
        raise Failure(tell("logs_or_data", wanted.lang), BAD_INPUT)
    folder = wanted.logs or wanted.keep_data
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="crdtsync-acceptance-"))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Failure(tell("logs_not_empty", wanted.lang, folder=folder), BAD_INPUT)
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def _leave_result(result: RunResult, folder: Path) -> None:
    """Where ``crdtsync report --data`` looks for it: in each data folder, and beside them."""
    text = json.dumps(as_json(result), ensure_ascii=False, indent=2) + "\n"
    for database in folder.glob("*/*/crdtsync.db"):
        (database.parent / RESULT_NAME).write_text(text, encoding="utf-8")
    (folder / RESULT_NAME).write_text(text, encoding="utf-8")


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


async def _run(wanted: Wanted, scenarios: list[Scenario], folder: Path) -> RunResult:
    task = asyncio.current_task()
    assert task is not None
    with contextlib.suppress(NotImplementedError):  # Windows
        # Whoever ends us in order must not leave servers and devices behind.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    policy = suite_policy() if wanted.reach is None else await _policy(wanted.reach, wanted.lang)
    plan = Plan(
        scenarios=scenarios,
        seed=wanted.seed,
        quick=wanted.quick,
        policy=policy,
        url=wanted.server,
        folder=folder,
        keep_data=wanted.keep_data is not None,
        ca=wanted.ca,
        secret_file=wanted.secret_file,
    )
    return await run(plan, Progress(wanted.lang))


async def _policy(reach: Reach, lang: str) -> Policy:
    url = reach.url
    try:
        async with asyncio.timeout(PROBE_S):
            text, version = await policy_of(reach, PROBE_SPACE)
    except (CrdtsyncError, TimeoutError) as error:
        words = tell("cannot_reach", lang, url=url, error=str(error) or type(error).__name__)
        raise Failure(words, NETWORK) from error
    policy = Policy.parse(text, source=f"the policy of {url}")
    if not has_suite(policy):
        raise Failure(tell("no_suite_policy", lang, url=url, version=version), BAD_INPUT)
    return policy


def _tell(wanted: Wanted, result: RunResult, folder: Path, kept: bool) -> None:
    lang = wanted.lang
    if wanted.json_file == STDOUT:
        print_json(as_json(result))
    else:
        print_result(result, lang)
    if wanted.json_file not in (None, STDOUT):
        path = Path(wanted.json_file or "")
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(as_json(result), ensure_ascii=False, indent=2)
        path.write_text(text + "\n", encoding="utf-8")
    told = to_tell()
    if wanted.report is not None:
        wanted.report.write_text(page(result, lang), encoding="utf-8")
        told.print(Text(tell("report_written", lang, path=wanted.report)), soft_wrap=True)
    if kept:
        told.print(Text(tell("logs_kept", lang, folder=folder)), soft_wrap=True)
    elif result.go:
        told.print(Text(tell("logs_removed", lang)), soft_wrap=True)
