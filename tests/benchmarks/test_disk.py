"""Measurements take place on a disk, and what they share is made once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.harness import disk
from benchmarks.harness.apart import FailedApart, run_apart
from benchmarks.harness.measuring import ROOT, measure
from benchmarks.harness.peers import Peers
from benchmarks.harness.percentiles import latencies, percentile
from benchmarks.harness.scenario import Case, Contender
from benchmarks.patients import last_name, op_id_of, patient, phone, record_id, spread_over

HERE = "tests.benchmarks.measured"
NO_PEERS = Peers(install=False)
PEERS = ROOT / "benchmarks" / "peers"


def test_the_kind_of_a_folder_is_that_of_the_mount_nearest_above_it(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    inner = tmp_path / "memory" / "inner"
    inner.mkdir(parents=True)
    mounts.write_text(
        f"/dev/vda / ext4 rw 0 0\ntmpfs {tmp_path}/memory tmpfs rw 0 0\nproc /proc proc rw 0 0\n"
    )
    assert disk.kind_of(inner, mounts) == "tmpfs"
    assert disk.kind_of(tmp_path, mounts) == "ext4"
    assert disk.kind_of(tmp_path, tmp_path / "nowhere") is None


def test_a_machine_whose_temporary_folders_lie_in_memory_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(disk, "kind_of", lambda folder: "tmpfs")
    with pytest.raises(disk.NoDisk, match="set TMPDIR to a folder on a disk"):
        disk.disk_folder()


def test_what_is_prepared_is_made_once_for_a_run_and_gone_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(disk.PREPARED, raising=False)
    with disk.prepared_for_a_run():
        folder = disk.prepared("something", f"{HERE}:prepare", turn=1)
        assert disk.prepared("something", f"{HERE}:prepare", turn=2) == folder
        assert (folder / "turn").read_text() == "1"
        copied = disk.copy_of(folder, folder.parent / "copy")
        (copied / "turn").write_text("3")
        assert (folder / "turn").read_text() == "1"
    assert not folder.exists()
    assert disk.PREPARED not in os.environ


def test_what_was_stopped_half_way_is_prepared_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(disk.PREPARED, str(tmp_path))
    with pytest.raises(FailedApart, match="no turn below 0"):
        disk.prepared("something", f"{HERE}:prepare", turn=-1)
    assert (tmp_path / "something.part" / "half").exists()
    folder = disk.prepared("something", f"{HERE}:prepare", turn=1)
    assert sorted(one.name for one in folder.iterdir()) == ["turn"]


def test_a_coroutine_runs_apart_as_well(tmp_path: Path) -> None:
    run_apart(f"{HERE}:prepare_soon", tmp_path, turn=5)
    assert (tmp_path / "turn").read_text() == "5"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says it")
def test_the_memory_of_a_contender_is_its_own_and_not_of_what_it_started() -> None:
    case = Case(name="x", params={"child_mb": 300})
    started = Contender(name="started", target=f"{HERE}:with_a_large_child")
    found = measure(started, case, NO_PEERS, 60)
    assert found["child_peak_bytes"] > 300e6
    assert found["peak_memory_bytes"] < 150e6


def test_temporary_folders_of_a_contender_are_gone_after_it() -> None:
    litter = Contender(name="litter", target=f"{HERE}:litter")
    found = measure(litter, Case(name="x", params={}), NO_PEERS, 60)
    assert found["folder_was_there"] == 1
    assert not list(disk.disk_folder().glob("crdtsync-measured-*/left-behind"))


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([7.0], 0.99)) == (
        50.0, 99.0, 7.0,
    )  # fmt: skip
    assert (percentile([2.0, 1.0], 0.5), percentile([1.0, 2.0], 1.0)) == (1.0, 2.0)
    assert percentile(values, 0.07) == 7.0
    assert percentile(values, 0.0) == 1.0
    assert latencies([0.001, 0.002, 0.003]) == {"p50_us": 2000.0, "p99_us": 3000.0}


def test_numbers_that_are_spread_lie_all_over_and_none_comes_twice() -> None:
    for records in (100, 7_919, 100_000):
        numbers = spread_over(100, records)
        assert len(set(numbers)) == 100
        assert max(numbers) > records * 0.9


def test_op_ids_of_patients_are_known_and_of_version_4() -> None:
    assert op_id_of(7, 0) == op_id_of(7, 0) != op_id_of(7, 1)
    assert op_id_of(7, 0)[14] == "4"


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_peer_in_node_writes_the_same_patients() -> None:
    numbers = [0, 1, 2, 11, 7_919, 99_999, 1_234_567]
    module = (PEERS / "node-pouch" / "patients.mjs").as_uri()
    script = f"""
        import {{ lastName, patient, phone, spreadOver }} from "{module}";
        const found = {json.dumps(numbers)}.map((n) => [patient(n), lastName(n), phone(n, 3)]);
        console.log(JSON.stringify([found, spreadOver(20, 7919), spreadOver(20, 1000)]));
    """
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script], capture_output=True, text=True, check=True
    )
    found, *spread = json.loads(done.stdout)
    assert spread == [spread_over(20, 7_919), spread_over(20, 1_000)]
    for number, (document, last, new) in zip(numbers, found, strict=True):
        expected = patient(number) | {"_id": record_id(number)}
        expected["birthdate"] = expected["birthdate"].isoformat()
        document["allergies"] = set(document["allergies"])
        assert document == expected
        assert (last, new) == (last_name(number), phone(number, 3))


def test_lockfiles_pin_every_package_and_name_no_registry() -> None:
    lockfiles = list(PEERS.glob("*/package-lock.json"))
    assert lockfiles
    for lockfile in lockfiles:
        packages = json.loads(lockfile.read_text(encoding="utf-8"))["packages"]
        for name, package in packages.items():
            if name:
                assert package["version"], name
                assert package["integrity"], name
                assert "resolved" not in package, name
