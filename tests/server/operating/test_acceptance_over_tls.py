"""``crdtsync acceptance --server wss://…``: TLS in front of a server that checks sign-ins."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from crdtsync.errors import CrdtsyncError
from crdtsync.replica.transport import ConnectionLost
from crdtsync_server.acceptance.evidence import policy_of
from crdtsync_server.acceptance.reaching import Reach
from crdtsync_server.acceptance.rules import suite_policy
from crdtsync_server.access.making import write_secret
from crdtsync_server.access.settings import AccessSettings
from crdtsync_server.service import RunningServer
from tests.cli.command_line import COMMAND, crdtsync, environment


def make_certificate(folder: Path) -> Path:
    """A certificate for localhost that vouches for itself, with its key; the PEM file of both."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "localhost.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@contextlib.asynccontextmanager
async def tls_in_front_of(port: int, certificate: Path) -> AsyncIterator[str]:
    """What nginx or Caddy does: TLS ends here; the address that devices get."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    open_now: set[asyncio.Task[Any]] = set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_now.add(task)
        above, below = await asyncio.open_connection("127.0.0.1", port)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(copy(reader, below), copy(above, writer))
        finally:
            open_now.discard(task)
            writer.close()
            below.close()

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
            target.close()

    listening = await asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=context)
    try:
        yield f"wss://localhost:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        for task in list(open_now):
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)


async def acceptance(*arguments: object) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [*COMMAND, "acceptance", "--quick", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        timeout=100,
    )


async def test_the_suite_goes_through_tls_and_sign_in_to_a_server_of_one_s_own(
    tmp_path: Path,
) -> None:
    secret, certificate = tmp_path / "jwt-secret", make_certificate(tmp_path)
    write_secret(secret)
    async with (
        RunningServer(
            policy=suite_policy(),
            data=tmp_path / "data",
            access=AccessSettings(jwt_secret_file=secret),
        ) as server,
        tls_in_front_of(server.port, certificate) as url,
    ):
        done = await acceptance(
            *("--server", url, "--ca", certificate, "--secret-file", secret, "--json", "-"),
            *("--scenario", "duplicate-requests"),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        result = json.loads(done.stdout)
        (scenario,) = result["scenarios"]
        # Its faults are at exact messages, which it could not see in what is encrypted.
        assert (scenario["status"], scenario["proof"]) == ("passed", "protocol")
        assert scenario["counts"]["lost"] == scenario["counts"]["doubled"] == 0
        with pytest.raises(ConnectionLost, match="certificate"):
            await policy_of(Reach(url, None, secret), "acceptance-probe")
        with pytest.raises(CrdtsyncError, match="sign"):
            await policy_of(Reach(url, certificate, None), "acceptance-probe")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ca", "x.pem"], "--server"),
        (["--server", "wss://localhost:1", "--ca", "{no}"], "no certificates"),
        (["--server", "ws://localhost:1", "--secret-file", "{no}"], "secret"),
    ],
)
def test_a_certificate_or_a_secret_that_is_none_is_said(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "no.pem").write_text("nothing")
    given = [one.replace("{no}", str(tmp_path / "no.pem")) for one in arguments]
    done = crdtsync("acceptance", *given)
    assert done.exit_code == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_tells_its_host_and_port() -> None:
    plain, tls = Reach("ws://[::1]:9000"), Reach("wss://sync.example.org")
    assert (plain.host, plain.port, plain.tls) == ("::1", 9_000, None)
    assert (tls.host, tls.port, tls.plain_url) == ("sync.example.org", 443, "ws://sync.example.org")
    assert tls.tls is not None
    assert tls.tls.check_hostname
    assert sys.version_info >= (3, 11)
