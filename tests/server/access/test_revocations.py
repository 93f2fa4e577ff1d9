"""Sign-ins that are taken back: the file, and who has to go when it changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crdtsync.protocol.messages import Receipt
from crdtsync_server.access.revocation import RevocationFile, parse_revoked
from crdtsync_server.access.settings import BadAccessSettings
from crdtsync_server.authentication import Identity
from crdtsync_server.service import RunningServer
from tests.server.access.asking import ask
from tests.server.access.signing import secured, signed_hello, token
from tests.server.serving import Wire, push_of, write

MARCH_US = 1_772_366_400_000_000


def identity(user: str = "kim", token_id: str | None = "t1", issued_us: int | None = 0) -> Identity:
    return Identity(user, frozenset(), token_id=token_id, issued_us=issued_us)


def test_the_file_names_tokens_and_users() -> None:
    revoked = parse_revoked(
        "# who left\n\n  token t1  \nuser lee\nuser Kim Minji before 2026-03-01T12:00:00Z\n"
        "user Kim Minji before 2026-02-01T12:00:00+09:00\n",
        "here",
    )
    assert revoked.covers(identity("anybody", "t1"))
    assert not revoked.covers(identity("anybody", "t2"))
    assert not revoked.covers(identity("anybody", None))
    assert revoked.covers(identity("lee", None, 10**18))
    for issued_us, gone in ((MARCH_US - 1, True), (MARCH_US, False), (None, True)):
        assert revoked.covers(identity("Kim Minji", "t9", issued_us)) is gone


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("kim", "write: token JTI"),
        ("token", "write: token JTI"),
        ("user   ", "write: token JTI"),
        ("users kim", "write: token JTI"),
        ("user kim before yesterday", "not a time"),
        ("user kim before 2026-03-01T12:00:00", "time zone"),
        ("user " + "x" * 300, "longer"),
        ("token aaa.bbb.ccc", "not the token"),
    ],
)
def test_a_mistake_names_its_line(line: str, words: str) -> None:
    with pytest.raises(BadAccessSettings, match=f"here, line 2: .*{words}"):
        parse_revoked(f"# fine\n{line}\n", "here")


class Watched:
    """A file of revocations, and how often it was found changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changes = 0
        self.file = RevocationFile(path, self.changed)

    def changed(self) -> None:
        self.changes += 1

    def write(self, text: str) -> None:
        """As an editor does: a new file in the place of the old one."""
        beside = self.path.with_suffix(".new")
        beside.write_bytes(text.encode())
        os.replace(beside, self.path)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    found = Watched(tmp_path / "revoked")
    found.write("token t1\n")
    found.file.load()
    return found


async def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(watched: Watched) -> None:
    await watched.file.look()
    assert watched.changes == 0
    watched.write("token t2\n")
    await watched.file.look()
    assert watched.changes == 1
    assert watched.file.revoked.tokens == {"t2"}


async def test_a_mistake_changes_nothing_and_is_logged(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    for content in (b"token t2\nnonsense\n", b"\xff\xfe\n", b"#" * 20_000_000 + b"\n"):
        watched.path.write_bytes(content)
        await watched.file.look()
        assert watched.file.revoked.tokens == {"t1"}
        assert "last good ones hold" in caplog.text
        caplog.clear()
    watched.write("token t3\n")
    await watched.file.look()
    assert watched.file.revoked.tokens == {"t3"}


async def test_a_file_that_is_gone_changes_nothing_and_is_told_once(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.path.unlink()
    for _ in range(3):
        await watched.file.look()
    assert watched.file.revoked.tokens == {"t1"}
    assert caplog.text.count("the last ones hold") == 1


async def test_half_a_line_waits_until_nobody_writes_it_any_more(watched: Watched) -> None:
    watched.write("token t1\nuser ki")
    await watched.file.look()
    assert watched.changes == 0
    watched.write("token t1\nuser kim")
    await watched.file.look()
    assert watched.changes == 0
    await watched.file.look()
    assert watched.file.revoked.users == {"kim"}


def test_a_server_does_not_start_without_its_file_or_with_a_mistake_in_it(tmp_path: Path) -> None:
    with pytest.raises(BadAccessSettings, match="An empty one will do"):
        RevocationFile(tmp_path / "nothing", lambda: None).load()
    (tmp_path / "bad").write_text("nonsense\n")
    with pytest.raises(BadAccessSettings, match="line 1"):
        RevocationFile(tmp_path / "bad", lambda: None).load()


async def test_a_server_with_a_bad_file_says_so_and_leaves_the_data_alone(tmp_path: Path) -> None:
    with pytest.raises(BadAccessSettings, match="nothing"):
        await secured(tmp_path, revoked=tmp_path / "nothing").start()


async def revoke(server: RunningServer, path: Path, line: str) -> None:
    """An operator adds a line, and the server looks."""
    with path.open("a") as file:
        file.write(line + "\n")
    assert server.service.access.revocations is not None
    await server.service.access.revocations.look()


async def test_a_revoked_token_ends_its_live_connection_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "revoked"
    path.touch()
    async with secured(tmp_path, revoked=path) as server:
        async with (
            await Wire.open(server.url) as tablet,
            await Wire.open(server.url) as phone,
            await Wire.open(server.url) as other,
        ):
            await tablet.greet(signed_hello(token=token(jti="stolen")))
            await phone.greet(signed_hello(token=token(jti="fine")))
            await other.greet(signed_hello("lee"))
            await revoke(server, path, "token stolen")
            goodbye = await tablet.goodbye()
            assert (goodbye.code, "taken back" in goodbye.words) == (4003, True)
            await phone.accept(write({"c/visits": "1"}))
            await other.accept(write({"c/visits": "1"}, user="lee"))
        async with await Wire.open(server.url) as tablet:
            refused = await tablet.refused(signed_hello(token=token(jti="stolen")))
            assert (refused.code, refused.retry) == ("unauthorized", False)


async def test_a_former_user_is_put_out_and_stays_out(tmp_path: Path) -> None:
    path = tmp_path / "revoked"
    path.touch()
    async with secured(tmp_path, revoked=path) as server:
        async with await Wire.open(server.url) as wire:
            await wire.greet(signed_hello())
            await revoke(server, path, "user kim")
            assert (await wire.goodbye()).code == 4003
        async with await Wire.open(server.url) as wire:
            await wire.refused(signed_hello(token=token(jti="a new one")))


async def test_http_requests_with_a_revoked_token_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "revoked"
    path.touch()
    bearer = f"Bearer {token(jti='stolen')}"
    async with secured(tmp_path, revoked=path) as server:
        assert (await ask(server, "/v1/me", authorization=bearer)).status == 200
        await revoke(server, path, "token stolen")
        answer = await ask(server, "/v1/me", authorization=bearer)
        assert answer.status == 401
        assert "taken back" in answer.json["detail"]


async def test_what_was_not_decided_when_the_sign_in_was_revoked_is_not_accepted(
    tmp_path: Path,
) -> None:
    path = tmp_path / "revoked"
    path.touch()
    first, late = write({"c/visits": "1"}), write({"c/visits": "10"})
    async with secured(tmp_path, revoked=path) as server:
        async with await Wire.open(server.url) as wire:
            await wire.greet(signed_hello())
            await wire.accept(first)
            submit = server.service.ingest.submit

            def revoked_meanwhile(work: object) -> None:
                """The push was read; before its group is taken, the sign-in ends."""
                submit(work)  # type: ignore[arg-type]
                server.service.end_sign_ins(lambda identity: identity.user == "kim")

            server.service.ingest.submit = revoked_meanwhile  # type: ignore[method-assign]
            await wire.send(push_of(late))
            await wire.goodbye()
            server.service.ingest.submit = submit  # type: ignore[method-assign]
        async with await Wire.open(server.url) as wire:
            welcome = await wire.greet(signed_hello())
            assert welcome.head.seq == 1
            if welcome.paging is not None:
                await wire.page_all(welcome.paging)
            (again,) = await wire.push(late)  # under the next sign-in it is an op like any other
            assert isinstance(again, Receipt)
            assert again.seq == 2
