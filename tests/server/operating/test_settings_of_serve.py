"""Settings by flags, environment and file: which one counts, and what is said of mistakes."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from crdtsync_server import cli
from crdtsync_server.operating.declared import GROUPS, SETTINGS
from crdtsync_server.operating.loading import load
from crdtsync_server.operating.showing import as_json, page, shown
from crdtsync_server.settings import BadSettings, Settings

ROOT = Path(__file__).parents[3]
NEEDED = {"policy": "policy.toml", "data": "ward-data"}


def config_of(folder: Path, text: str) -> Path:
    path = folder / "crdtsync.toml"
    path.write_text(text, encoding="utf-8")
    return path


def places_of(value: object, *above: str) -> set[tuple[str, ...]]:
    """Where every single value of the settings stands."""
    if dataclasses.is_dataclass(value):
        names = [one.name for one in dataclasses.fields(value)]
    elif isinstance(value, msgspec.Struct):
        names = list(value.__struct_fields__)
    else:
        return {above}
    return {place for name in names for place in places_of(getattr(value, name), *above, name)}


def test_every_setting_is_declared_once_with_its_meaning() -> None:
    declared = [one.place for one in SETTINGS.values() if one.name != "policy"]
    assert len(declared) == len(set(declared))
    assert set(declared) == places_of(Settings(Path()))
    assert sum(len(group.settings) for group in GROUPS) == len(SETTINGS)
    for one in SETTINGS.values():
        assert one.meaning.endswith("."), one.name
        if one.name.endswith(("_s", "_ms", "_bytes")):
            assert one.unit, one.name


def test_a_flag_counts_before_the_environment_and_the_environment_before_the_file(
    tmp_path: Path,
) -> None:
    file = config_of(tmp_path, "port = 1\nkeep_entries = 2\nops_per_push = 3\n")
    environment = {"CRDTSYNC_PORT": "10", "CRDTSYNC_KEEP_ENTRIES": "20"}
    loaded = load(NEEDED | {"port": "100"}, environment, file)
    settings = loaded.settings
    chosen = {
        name: (loaded.chosen[name].value, loaded.chosen[name].source)
        for name in ("port", "keep_entries", "ops_per_push", "drain_s")
    }
    assert chosen == {
        "port": (100, "--port"),
        "keep_entries": (20, "CRDTSYNC_KEEP_ENTRIES"),
        "ops_per_push": (3, "crdtsync.toml"),
        "drain_s": (10.0, "default"),
    }
    assert (settings.port, settings.retention.keep_entries) == (100, 20)
    assert settings.limits.ops_per_push == 3
    assert settings.folder == Path("ward-data")


def test_every_kind_of_setting_can_come_from_a_file(tmp_path: Path) -> None:
    file = config_of(
        tmp_path,
        'policy = "policy.toml"\ndata = "/var/lib/crdtsync"\nhost = "::1"\ndev = true\n'
        'keep_log = "8w"\nleeway_s = 5\nlog_format = "JSON"\ntrace = false\n'
        'trusted_proxies = ["127.0.0.1", "10.0.0.0/8"]\npublic_url = "https://sync.example.org"\n'
        'origins = ["https://app.example.org"]\nmetrics_token = "a-long-secret-word"\n',
    )
    policy, settings = load({}, {}, file).require()
    assert policy == tmp_path / "policy.toml", "relative to the file, wherever one starts it"
    assert (settings.folder, settings.host, settings.dev) == (
        Path("/var/lib/crdtsync"),
        "::1",
        True,
    )
    assert settings.retention.keep_log_s == 56 * 86_400
    assert settings.access.leeway_s == 5.0
    assert settings.access.origins == ("https://app.example.org",)
    assert (settings.observing.log_format, settings.observing.trace) == ("json", False)
    assert settings.proxy.trusted == ("127.0.0.1", "10.0.0.0/8")


def test_every_kind_of_setting_can_come_from_the_environment() -> None:
    given = {
        "POLICY": "p.toml",
        "DATA": "d",
        "DEV": "yes",
        "KEEP_LOG": "forever",
        "LEEWAY_S": "1.5",
        "METRICS": "off",
        "TRUSTED_PROXIES": "127.0.0.1, ::1",
        "JWT_SECRET": "",
    }
    environment = {f"CRDTSYNC_{name}": text for name, text in given.items()}
    policy, settings = load({}, environment).require()
    assert (policy, settings.folder, settings.dev) == (Path("p.toml"), Path("d"), True)
    assert settings.retention.keep_log_s is None
    assert settings.access.leeway_s == 1.5
    assert settings.access.jwt_secret is None, "an empty variable is one that was not given"
    assert settings.observing.metrics is False
    assert settings.proxy.trusted == ("127.0.0.1", "::1")


def test_all_mistakes_are_told_at_once_each_with_its_cure(tmp_path: Path) -> None:
    file = config_of(
        tmp_path,
        'prot = 8\nport = "8000"\nKEEP-LOG = "1d"\nkeep_log = "90 days"\norigins = "https://a"\n'
        "dev = 1\nhost = 5\n[access]\nconnections = 1\n",
    )
    loaded = load(
        {"log_level": "loud", "data": ""},
        {"CRDTSYNC_CONNECTIONS": "0", "CRDTSYNC_SEND_S": "x"},
        file,
    )
    told = "\n".join(loaded.mistakes)
    assert len(loaded.mistakes) == 12
    for words in (
        "prot is not a setting; did you mean port?",
        "KEEP-LOG is not a setting; did you mean keep_log?",
        "port: '8000' is not a whole number; write it without quotes",
        "keep_log: '90 days' is not a time",
        'origins: \'https://a\' is not a list; write it like ["…", "…"]',
        "dev: 1 is neither true nor false",
        "host: 5 is not a text; write it in quotes",
        "[access] is a section, and settings have none",
        "CRDTSYNC_CONNECTIONS: 0 is not between 1 and",
        "CRDTSYNC_SEND_S: 'x' is not a number",
        "--log-level: 'loud' is none of debug, info, warning, error",
        "--data: it is empty",
    ):
        assert words in told
    with pytest.raises(BadSettings, match="12 settings are not as they must be"):
        loaded.require()


def test_what_is_missing_names_all_three_ways_of_giving_it() -> None:
    loaded = load({}, {})
    assert len(loaded.mistakes) == 2
    for name in ("policy", "data"):
        (told,) = [words for words in loaded.mistakes if words.startswith(name)]
        assert f"--{name}" in told
        assert f"CRDTSYNC_{name.upper()}" in told


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"port = ", "is not a TOML file"),
        (b"\xff\xfe", "is not a TOML file"),
        (None, "cannot be read"),
        (b"# " + b"x" * 1_100_000, "larger than"),
    ],
)
def test_a_file_that_is_none_is_said(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "crdtsync.toml"
    if content is not None:
        path.write_bytes(content)
    (told,) = load(NEEDED, {}, path).mistakes
    assert words in told


def test_the_file_can_be_named_by_the_environment(tmp_path: Path) -> None:
    file = config_of(tmp_path, "port = 77\n")
    assert load(NEEDED, {"CRDTSYNC_CONFIG": str(file)}).settings.port == 77


def test_a_misspelt_variable_is_said_and_one_of_another_command_is_not() -> None:
    environment = {"CRDTSYNC_PROT": "9", "CRDTSYNC_TOKEN": "t", "CRDTSYNC_LANG": "ko", "PROT": "1"}
    (told,) = load(NEEDED, environment).warnings
    assert "did you mean CRDTSYNC_PORT?" in told


def test_a_variable_that_kubernetes_made_is_told_with_the_way_out() -> None:
    (told,) = load(NEEDED, {"CRDTSYNC_PORT": "tcp://10.0.0.1:80"}).mistakes
    assert "enableServiceLinks: false" in told


@pytest.mark.parametrize("source", ["environment", "file"])
def test_secrets_are_never_shown_wherever_they_come_from(tmp_path: Path, source: str) -> None:
    secret = "correct-horse-battery-staple-correct-horse"
    names = [name for name, one in SETTINGS.items() if one.secret]
    assert names == ["jwt_secret", "metrics_token"]
    file = config_of(tmp_path, "\n".join(f'{name} = "{secret}"' for name in names))
    environment = {f"CRDTSYNC_{name.upper()}": secret for name in names}
    loaded = load(
        NEEDED,
        environment if source == "environment" else {},
        file if source == "file" else None,
    )
    _, settings = loaded.require()
    assert settings.access.jwt_secret == secret
    told = shown(loaded) + json.dumps(as_json(loaded)) + repr(settings) + str(loaded.mistakes)
    assert secret not in told
    assert [loaded.chosen[name].shown for name in names] == ["set", "set"]
    assert load(NEEDED, {}).chosen["jwt_secret"].shown == "not set"


def test_a_mistake_in_a_secret_does_not_tell_it(tmp_path: Path) -> None:
    file = config_of(tmp_path, "jwt_secret = 123456789123456789\n")
    (told,) = load(NEEDED, {}, file).mistakes
    assert "jwt_secret" in told
    assert "123456789" not in told


def test_the_help_tells_every_default() -> None:
    run = CliRunner().invoke(serve_app(), ["serve", "--help"], env={"COLUMNS": "400"})
    assert run.exit_code == 0, run.output
    lines = {
        line.split("--")[1].split()[0].split("/")[0]: line
        for line in run.output.splitlines()
        if "--" in line
    }
    for name, told in {
        "policy": "Required, here or elsewhere.",
        "host": "Default: 127.0.0.1.",
        "port": "Default: 8000.",
        "leeway-s": "Default: 30.",
        "trace": "Default: true.",
        "keep-log": "Default: 90d.",
        "keep-entries": "Default: 1000.",
        "frame-bytes": "Default: 1048576.",
        "notice-s": "Default: 0.",
    }.items():
        assert told in lines[name], lines[name]


def test_secrets_have_no_flag() -> None:
    run = CliRunner().invoke(serve_app(), ["serve", "--help"], env={"COLUMNS": "200"})
    assert run.exit_code == 0, run.output
    for one in SETTINGS.values():
        flag = "--" + one.name.replace("_", "-")
        assert (f" {flag} " in run.output.replace("/", " ")) == (not one.secret), flag


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"dev": True, "host": "0.0.0.0"}, "listens on this machine only"),
        ({}, "no authentication is set up"),
        ({"host": "0.0.0.0"}, "no authentication is set up"),
        ({"dev": True, "jwt_secret_file": "s"}, "leave one out"),
        ({"dev": True, "trusted_proxies": "*"}, "believe every client"),
        ({"dev": True, "trusted_proxies": "10.0.0.1/8"}, "is not an address or a network"),
        ({"dev": True, "trusted_proxies": "proxy.local"}, "is not an address or a network"),
        ({"dev": True, "public_url": "sync.example.org"}, "https://sync.example.org"),
        ({"dev": True, "heartbeat_ms": "50000"}, "at least twice heartbeat_ms"),
        ({"dev": True, "origins": "app.example.org"}, "is not an origin"),
    ],
)
def test_what_is_unsafe_or_makes_no_sense_together_is_refused(
    flags: dict[str, str | bool | None], words: str
) -> None:
    loaded = load(NEEDED | flags, {})
    assert loaded.mistakes == ()
    with pytest.raises(BadSettings) as caught:
        loaded.require()
    assert words in str(caught.value)


def serve_app() -> typer.Typer:
    app = typer.Typer()
    app.callback()(lambda: None)
    cli.register(app)
    return app


def test_show_settings_prints_every_value_and_where_it_came_from(tmp_path: Path) -> None:
    file = config_of(tmp_path, 'policy = "p.toml"\nkeep_log = "forever"\n')
    arguments = ["serve", "--show-settings", "--config", str(file), "--data", "d", "--dev"]
    run = CliRunner().invoke(serve_app(), arguments, env={"CRDTSYNC_PORT": "9000"})
    assert run.exit_code == 0, run.output
    lines = {line.split()[0]: line for line in run.output.splitlines() if line.startswith("  ")}
    assert set(lines) == set(SETTINGS)
    assert lines["port"].split()[1:] == ["9000", "CRDTSYNC_PORT"]
    assert lines["keep_log"].split()[1:] == ["forever", "crdtsync.toml"]
    assert lines["data"].split()[1:] == ["d", "--data"]
    assert lines["dev"].split()[1:] == ["true", "--dev"]
    assert lines["ops_per_push"].split()[1:] == ["200", "changes", "default"]
    run = CliRunner().invoke(serve_app(), [*arguments, "--json"], env={"CRDTSYNC_PORT": "9000"})
    told = json.loads(run.output)
    assert told["starts"] is True
    (port,) = [one for one in told["settings"] if one["name"] == "port"]
    assert (port["value"], port["from"]) == (9000, "CRDTSYNC_PORT")


def test_show_settings_says_why_the_server_would_not_start() -> None:
    run = CliRunner().invoke(serve_app(), ["serve", "--show-settings"])
    assert run.exit_code == 2
    assert "the server would not start" in run.output
    assert "policy is missing" in run.output
    assert "port" in run.output


def test_the_page_of_settings_in_server_deploy_is_up_to_date() -> None:
    found = (ROOT / "server/deploy/SETTINGS.md").read_text(encoding="utf-8")
    assert found == page(), (
        "python -m crdtsync_server.operating.showing > server/deploy/SETTINGS.md"
    )


def test_the_command_is_there_without_the_packages_of_the_server(tmp_path: Path) -> None:
    """The library alone: ``serve --help`` works, and running it says what to install."""
    program = (
        "import sys\n"
        "class Gone:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in GONE:\n"
        "            raise ModuleNotFoundError(name)\n"
        f"GONE = {SERVER_PACKAGES!r}\n"
        "sys.meta_path.insert(0, Gone())\n"
        "from crdtsync_server import cli\n"
        "import typer, importlib.util\n"
        "importlib.util.find_spec = lambda name, package=None: None if name in GONE else 1\n"
        "app = typer.Typer()\n"
        "app.callback()(lambda: None)\n"
        "cli.register(app)\n"
        "app()\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CRDTSYNC_")}
    for arguments, code, words in (
        (["serve", "--help"], 0, "--keep-log"),
        (["serve", "--policy", "p", "--data", "d", "--dev"], 2, "pip install"),
        (["serve", "--show-settings", "--policy", "p", "--data", "d", "--dev"], 0, "keep_log"),
    ):
        run = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=environment | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "server")])},
            timeout=60,
        )
        assert (run.returncode, words in run.stdout + run.stderr) == (code, True), run.stderr


SERVER_PACKAGES = (
    "starlette",
    "uvicorn",
    "uvloop",
    "jwt",
    "prometheus_client",
    "structlog",
    "jinja2",
)
