"""Opening a replica that is there already, reading records of it, and asking it questions."""

from __future__ import annotations

import time
from collections.abc import Mapping

from benchmarks.harness.disk import peak_bytes
from benchmarks.harness.percentiles import latencies, percentile
from benchmarks.patients import last_name, patient, record_id, spread_over
from benchmarks.replica.devices import device, replica_of, work_folder


async def reopen(params: Mapping[str, int]) -> dict[str, float]:
    """From opening the file until a first record was read. The file is in the system's cache."""
    records = params["records"]
    wanted = records // 3
    with work_folder() as folder:
        path = replica_of(records, folder)
        cpu_s, began_s = time.process_time(), time.perf_counter()
        async with device(path) as replica:
            found = dict(replica.collection("patient")[record_id(wanted)])
            took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
            peak = peak_bytes()
            assert found == patient(wanted)
            assert len(replica.collection("patient")) == records
    figures = {"first_read_s": took_s, "cpu_ms": cpu_s * 1e3}
    return figures | ({} if peak is None else {"peak_mb": peak / 1e6})


async def read(params: Mapping[str, int]) -> dict[str, float]:
    """Whole records by their ids, all over the replica."""
    records, reads = params["records"], params["reads"]
    taken_s, cpu_s = [], 0.0
    with work_folder() as folder:
        async with device(replica_of(records, folder)) as replica:
            patients = replica.collection("patient")
            for number in spread_over(reads, records):
                wanted = record_id(number)
                cpu, began_s = time.process_time(), time.perf_counter()
                found = dict(patients[wanted])
                taken_s.append(time.perf_counter() - began_s)
                cpu_s += time.process_time() - cpu
                assert found == patient(number)
    return latencies(taken_s) | {"cpu_us": cpu_s * 1e6 / reads}


async def query(params: Mapping[str, int]) -> dict[str, float]:
    """Patients of one last name: 1 of 1,000 matches. They come as whole records."""
    records, queries = params["records"], params["queries"]
    taken_s = []
    with work_folder() as folder:
        async with device(replica_of(records, folder)) as replica:
            patients = replica.collection("patient")
            for number in spread_over(queries, records):
                name = last_name(number)
                began_s = time.perf_counter()
                found = {one.id: dict(one) for one in await patients.where({"last": name})}
                taken_s.append(time.perf_counter() - began_s)
                matching = [other for other in range(records) if last_name(other) == name]
                assert found == {record_id(other): patient(other) for other in matching}
    return {"p50_ms": percentile(taken_s, 0.5) * 1e3, "p99_ms": percentile(taken_s, 0.99) * 1e3}
