"""server/deploy: what the guide tells people to type exists, and its files are what they say."""

from __future__ import annotations

import functools
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from crdtsync.cli import make_app
from crdtsync.policy_file import Policy
from crdtsync_server.observing import names
from crdtsync_server.operating.declared import CONFIG_VARIABLE, SETTINGS
from crdtsync_server.operating.loading import load
from tests.server.serving import POLICY_TEXT

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "server/deploy"
GUIDE = (DEPLOY / "README.md").read_text(encoding="utf-8")
UNITS = sorted((DEPLOY / "systemd").iterdir())
OUR_FILES = sorted(
    path
    for path in [*DEPLOY.iterdir(), *(DEPLOY / "systemd").iterdir(), *(DEPLOY / "proxy").iterdir()]
    if path.is_file()
)


def typed_commands(text: str) -> Iterator[list[str]]:
    """Every ``crdtsync …`` of indented blocks and of quoted code."""
    blocks = re.findall(r"(?m)^    (.+)$", text)
    for line in [*blocks, *re.findall(r"`([^`]+)`", text)]:
        found = re.search(r"(?:^|\s)(?:\S*/)?crdtsync ((?!crdtsync\b)[a-z].*)", line)
        if found and not re.search(r"(pip|useradd|systemctl|install) .*crdtsync", line):
            yield shlex.split(found[1].split("#")[0])


@functools.cache
def the_command() -> Any:
    """``crdtsync`` with everything that is installed."""
    return typer.main.get_command(make_app())


def misfit(words: list[str]) -> str | None:
    """What is wrong with a command line; None where it could be typed."""
    command: Any = the_command()
    options: set[str] = {"--help"}
    for n, word in enumerate(words):
        inner = getattr(command, "commands", {}).get(word)
        if inner is not None:
            command = inner
        elif n == 0:
            return f"there is no command {word!r}"
        for one in command.params:
            if one.param_type_name == "option":
                options |= {*one.opts, *one.secondary_opts}
        if word.startswith("-") and word.split("=")[0] not in options:
            return f"{' '.join(words)}: {word} does not exist"
    return None


COMMANDS = list(typed_commands(GUIDE))


def test_the_guide_names_what_it_is_about() -> None:
    named = {words[0] for words in COMMANDS}
    assert {"serve", "backup", "restore", "verify", "token", "policy", "report", "trace"} <= named


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_and_every_flag_of_the_guide_exists(words: list[str]) -> None:
    assert misfit(words) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("    crdtsync banckup --data x", "no command"),
        ("`crdtsync backup --data x --too y`", "--too"),
        ("`crdtsync token revoke --fil x`", "--fil"),
    ],
)
def test_a_command_that_does_not_exist_would_be_noticed(text: str, words: str) -> None:
    (found,) = typed_commands(text)
    assert words in str(misfit(found))


@pytest.mark.parametrize("path", OUR_FILES, ids=lambda path: path.name)
def test_every_variable_of_the_environment_is_a_setting(path: Path) -> None:
    known = {one.variable for one in SETTINGS.values()} | {CONFIG_VARIABLE}
    for variable in re.findall(r"\bCRDTSYNC_[A-Z_]+\b", path.read_text(encoding="utf-8")):
        assert variable in known, variable


def test_every_setting_and_metric_that_the_guide_names_exists() -> None:
    metrics = {one.name for one in vars(names).values() if isinstance(one, names.Metric)}
    named = set(re.findall(r"`(crdtsync_\w+)", GUIDE))
    assert len(named) >= 5
    assert named <= metrics
    for name in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", GUIDE):
        assert name in SETTINGS or name in metrics, name


def test_every_file_that_the_guide_names_exists() -> None:
    linked = re.findall(r"\]\(([^)]+)\)", GUIDE)
    assert len(linked) >= 6
    for path in linked:
        assert (DEPLOY / path).exists(), path
    for path in re.findall(r"\b(server/deploy/[\w./-]*\w)", GUIDE):
        assert (ROOT / path).exists(), path


def test_the_example_of_settings_starts_a_server(tmp_path: Path) -> None:
    file = tmp_path / "crdtsync.toml"
    shutil.copy(DEPLOY / "crdtsync.toml", file)
    loaded = load({}, {"CRDTSYNC_JWT_SECRET_FILE": str(tmp_path / "secret")}, file)
    policy, settings = loaded.require()
    assert settings.access.jwt_secret_file == tmp_path / "secret", "the unit's copy counts first"
    # What the guide has people type knows nothing of the unit's environment.
    _, typed = load({}, {}, file).require()
    assert typed.access.jwt_secret_file == Path("/etc/crdtsync/jwt-secret")
    assert typed.access.revoked == Path("/etc/crdtsync/revoked")
    assert "install -m 0640 -g crdtsync /dev/null /etc/crdtsync/revoked" in GUIDE
    assert policy == Path("/etc/crdtsync/policy.toml")
    assert settings.proxy.trusted == ("127.0.0.1", "::1")
    assert Policy.parse(POLICY_TEXT).version == 3


def test_every_file_that_the_example_of_settings_names_is_there_when_the_guide_starts_it() -> None:
    """A server does not start without its policy, its secret, or its file of revocations."""
    typed = "\n".join(re.findall(r"(?m)^    (.+)$", GUIDE.partition("## 5. Start")[0]))
    named = re.findall(r'"(/etc/crdtsync/[\w.-]+)"', read("crdtsync.toml"))
    assert len(named) == 3
    for path in named:
        assert path in typed, path


def test_the_containers_settings_start_a_server() -> None:
    image = dict(re.findall(r"(CRDTSYNC_\w+)=(\S+)", read("Dockerfile")))
    composed = dict(re.findall(r"(CRDTSYNC_\w+): (\S+)", read("compose.yaml")))
    assert len(image) == 4
    _, settings = load({}, image | composed).require()
    assert (settings.host, settings.port) == ("0.0.0.0", 8000)
    assert "EXPOSE 8000" in read("Dockerfile")
    (network,) = settings.proxy.trusted
    assert f"subnet: {network}" in read("compose.yaml")


def read(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, lines that are continued put together."""
    text = re.sub(r"(?m)^\s*#.*\n", "", read("Dockerfile"))
    lines = re.sub(r"\\\n\s*", " ", text).strip().split("\n")
    return [
        (word, rest) for word, _, rest in (line.partition(" ") for line in lines if line.strip())
    ]


def test_the_image_is_built_in_two_steps_from_a_pinned_base_and_runs_as_nobody_s_root() -> None:
    found = instructions()
    bases = [rest for word, rest in found if word == "FROM"]
    assert len(bases) == 2
    for base in bases:
        assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+( AS \w+)?", base), base
    last = [word for word, _ in found][::-1].index("FROM")
    final = found[-last:]
    words = [word for word, _ in final]
    assert {"USER", "HEALTHCHECK", "VOLUME", "STOPSIGNAL", "ENTRYPOINT", "CMD"} <= set(words)
    assert words.index("USER") > words.index("RUN")
    assert dict(final)["USER"] == "crdtsync"
    assert json.loads(dict(final)["ENTRYPOINT"]) == ["crdtsync"]
    assert json.loads(dict(final)["CMD"]) == ["serve"]
    check = json.loads(dict(final)["HEALTHCHECK"].partition("CMD ")[2])
    compile(check[2], "healthcheck", "exec")


def test_the_image_copies_files_that_exist_and_that_its_ignore_file_lets_through() -> None:
    ignored = read("Dockerfile.dockerignore").split("\n")
    copied = [
        rest.split() for word, rest in instructions() if word == "COPY" and "--from" not in rest
    ]
    sources = [path for *paths, _ in copied for path in paths]
    assert {"pyproject.toml", "crdtsync", "server/crdtsync_server"} <= set(sources)
    for path in sources:
        assert (ROOT / path).exists(), path
        assert f"!{path}" in ignored, path
    # The build reads no other file of the repository.
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = [project["project"]["readme"], *project["project"]["license-files"]]
    assert set(needed) <= set(sources)
    # Without a package that the wheel is made of, the command in the image would not start.
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= set(sources)


def test_what_stands_between_devices_and_the_server_sets_the_headers_that_it_needs() -> None:
    nginx = read("proxy/nginx.conf")
    for line in (
        "proxy_set_header Upgrade",
        "proxy_set_header Host",
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "proxy_buffering off;",
    ):
        assert line in nginx
    assert re.search(r"X-Forwarded-For\s+\$remote_addr;", nginx), "set, never appended to"
    assert "flush_interval -1" in read("proxy/Caddyfile")
    # Longer than a peer may be silent.
    (timeout,) = re.findall(r"proxy_read_timeout (\d+)s", nginx)
    limits = load({}, {}).settings.limits
    assert int(timeout) * 1_000 > limits.silence_ms


def test_the_units_are_taken_by_systemd(tmp_path: Path) -> None:
    command = shutil.which("systemd-analyze")
    if command is None:
        pytest.skip("there is no systemd-analyze here")
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8")
        # The only thing that systemd cannot find here is the command itself.
        (tmp_path / unit.name).write_text(text.replace("/opt/crdtsync/bin/crdtsync", "/bin/true"))
    run = subprocess.run(
        [command, "verify", "--man=no", *(str(tmp_path / unit.name) for unit in UNITS)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_the_unit_does_not_restart_what_cannot_start_and_waits_for_the_end() -> None:
    unit = read("systemd/crdtsync.service")
    assert "RestartPreventExitStatus=2" in unit, "exit code 2: settings, policy or data"
    (stop,) = re.findall(r"TimeoutStopSec=(\d+)", unit)
    settings = load({}, {}, DEPLOY / "crdtsync.toml").settings.timeouts
    assert int(stop) > settings.notice_s + settings.drain_s + settings.close_s
    for setting in ("NoNewPrivileges=yes", "ProtectSystem=strict", "User=crdtsync", "UMask=0077"):
        assert setting in unit
