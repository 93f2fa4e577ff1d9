"""Sign-ins that end while people write."""

from __future__ import annotations

import asyncio

from crdtsync_server.acceptance.handles import Device, DeviceError
from crdtsync_server.acceptance.outcome import NotRun
from crdtsync_server.acceptance.stage import Stage, quoted

LASTS_S = 7.0
"""Of each token: short enough to see several end, and long enough for a connection to count
as steady. A device whose sign-ins end right after they began stops asking, and says so."""

RENEWED_S = 90
PAUSE_S = 0.1
"""Between two handfuls of changes, as people type."""


async def token_renewed(stage: Stage) -> None:
    """A sign-in ends again and again while somebody writes; then nobody is signed in."""
    if stage.reach is not None and stage.secret_file is None:
        raise NotRun("why_not_no_secret")
    tablet, phone = await stage.begin("tablet", "phone", token_lasts_s=LASTS_S)
    # A server of somebody else has a leeway of half a minute for each.
    renewals = stage.count(3, 1) if stage.reach is None else 1
    stage.step("short_sign_ins", seconds=round(LASTS_S), n=renewals)
    before = (await tablet.status())["asked_for_token"]
    waiting = asyncio.ensure_future(tablet.asked_for_token(before + renewals, RENEWED_S))
    stopped = await _write_until(stage, tablet, waiting)
    renewed = (await tablet.status())["asked_for_token"] - before
    stage.check("renewed", renewed >= renewals and not stopped, renewed=renewed, stopped=stopped)
    await stage.in_step(tablet, phone)
    stage.step("nobody_signed_in")
    await tablet.ask("sign_out")
    status = await tablet.until("signed out", RENEWED_S)
    count = stage.count(200, 20)
    await tablet.write(stage.writes_for(count, 5, "signed out"))
    status = await tablet.status()
    stage.check(
        "queue_kept",
        status["waiting"] == count == len(await tablet.outbox()),
        n=count,
        waiting=status["waiting"],
        status=quoted(status),
    )
    stage.step("signed_in_again")
    await tablet.ask("sign_in")
    stage.network_is_back()
    await stage.connect(tablet)
    await stage.in_step(tablet, phone)


async def _write_until(stage: Stage, tablet: Device, waiting: asyncio.Future[None]) -> int:
    """Write until ``waiting`` is done; how often the device stopped for a person meanwhile."""
    stopped = 0
    try:
        while not waiting.done():
            await tablet.write(stage.writes_for(3, 5, "signed in"))
            stopped += (await tablet.status())["state"] == "signed out"
            await asyncio.sleep(PAUSE_S)
        await waiting
    except DeviceError:
        pass  # it never asked: the check says so
    finally:
        waiting.cancel()
    return stopped
