"""Every measure is exactly what its formula says; what is not known is never a success."""

from __future__ import annotations

import pytest

from crdtsync.protocol.messages import OutboxSummary
from crdtsync_server.report.measures import Overview
from crdtsync_server.report.scope import Bounds, Live
from tests.server.report.books import HOUR_US, NOW_US, SECOND_US, SOME, Book, new_id

T = NOW_US - HOUR_US
"""An hour ago: within every window that is tested."""


def test_a_window_without_data_is_no_data_and_never_a_hundred_per_cent(book: Book) -> None:
    book.replica()
    found = book.overview()
    for key in ("failure_rate", "recovery_success_rate", "average_retries", "sync_latency"):
        one = found.measure(key)
        assert (one.value, one.met, one.value_words) == (None, None, "no data")
        assert one.note
    assert all(latency.p95_s is None and latency.note for latency in found.latency)
    assert set(found.charts.of("failure_rate").values) == {None}
    assert found.reconciliation.mood == "unknown"
    assert not found.go
    assert found.sentence.startswith("Nothing to judge yet.")


class TestFailureRate:
    def test_it_is_the_failed_attempts_of_all(self, book: Book) -> None:
        replica = book.replica()
        book.push(replica, T, created_us=[T, T, T])
        book.push(replica, T, refused=1)
        book.attempt(new_id(), "refused", "out_of_range", field="name")
        one = book.overview().measure("failure_rate")
        assert (one.numerator, one.denominator, one.value) == (1, 4, 0.25)
        assert one.met is False
        assert one.fraction_words == "1 of 4 attempts"

    def test_attempts_that_never_arrived_count_as_devices_tell_of_them(self, book: Book) -> None:
        replica = book.replica()
        (op,) = book.push(replica, T, created_us=[T], attempts=3)
        book.told(op.op_id, new_id(), T - SECOND_US, "cut")
        book.told(op.op_id, new_id(), T, "no_answer")
        found = book.overview()
        assert found.measure("failure_rate").fraction_words == "2 of 3 attempts"
        assert {one.code: one.count for one in found.failures.reasons} == {"cut": 1, "no_answer": 1}

    def test_what_the_server_judged_and_the_device_tells_again_counts_once(
        self, book: Book
    ) -> None:
        replica, op_id, request_id = book.replica(), new_id(), new_id()
        book.push(replica, T, request_id=request_id, transient=1)
        book.attempt(op_id, "transient", "overloaded")
        book.push(replica, T + 1, created_us=[T], op_ids=[op_id], attempts=2)
        book.told(op_id, request_id, T, "transient:overloaded")
        found = book.overview()
        assert found.measure("failure_rate").fraction_words == "1 of 2 attempts"
        (reason,) = found.failures.reasons
        assert (reason.code, reason.needs_person) == ("overloaded", False)
        assert [one.request_id for one in reason.examples] == [request_id]

    def test_an_accepted_attempt_whose_answer_was_lost_is_one_failed_attempt(
        self, book: Book
    ) -> None:
        replica = book.replica()
        (op,) = book.push(replica, T, created_us=[T])
        book.push(replica, T + 1, duplicate=1)
        book.attempt(op.op_id, "duplicate", number=2)
        book.told(op.op_id, op.request_id, T, "cut")
        found = book.overview()
        assert found.measure("failure_rate").fraction_words == "1 of 2 attempts"
        assert found.failures.repeats == 1
        assert found.measure("average_retries").value == 1.0

    def test_an_op_that_was_held_is_no_attempt(self, book: Book) -> None:
        replica = book.replica()
        (op,) = book.push(replica, T, created_us=[T], held=1)
        book.attempt(new_id(), "held")
        book.told(op.op_id, new_id(), T, "held")
        found = book.overview()
        assert found.measure("failure_rate").fraction_words == "0 of 1 attempt"
        assert found.failures.held == 1

    def test_attempts_beyond_those_that_a_device_lists_are_counted_too(self, book: Book) -> None:
        replica = book.replica()
        (op,) = book.push(replica, T, created_us=[T], attempts=51)
        for _ in range(8):
            book.told(op.op_id, new_id(), T, "cut")
        found = book.overview()
        assert found.measure("failure_rate").fraction_words == "50 of 51 attempts"
        assert {one.code: one.count for one in found.failures.reasons} == {
            "cut": 8,
            "unlisted": 42,
        }

    def test_what_lies_before_the_window_does_not_count(self, book: Book) -> None:
        replica = book.replica()
        book.push(replica, NOW_US - 30 * HOUR_US, created_us=[T])
        book.push(replica, T, created_us=[T])
        assert book.overview(window="24h").measure("failure_rate").denominator == 1
        assert book.overview(window="7d").measure("failure_rate").denominator == 2


class TestRecovery:
    def test_offline_is_what_was_written_before_its_connection_by_the_corrected_clock(
        self, book: Book
    ) -> None:
        replica, ahead_us = book.replica(), 10 * 60 * SECOND_US
        book.connected(replica, T, skew_us=ahead_us)
        written_us = T - 60 * SECOND_US + ahead_us  # a minute before, on a clock that runs ahead
        online_us = T + 5 * SECOND_US + ahead_us
        book.push(replica, T + SECOND_US, created_us=[written_us])
        book.push(replica, T + 6 * SECOND_US, created_us=[online_us], took_us=0)
        found = book.overview()
        assert found.measure("recovery_success_rate").fraction_words == (
            "1 of 1 change written offline"
        )
        assert found.measure("sync_latency").value == 1.0
        assert found.skew[0].words == "10 min ahead"

    def test_what_came_too_late_is_no_success(self, book: Book) -> None:
        replica = book.replica()
        book.connected(replica, T)
        book.push(replica, T + SECOND_US, created_us=[T - HOUR_US] * 3)
        book.push(replica, T + 61 * SECOND_US, created_us=[T - HOUR_US])
        one = book.overview().measure("recovery_success_rate")
        assert (one.numerator, one.denominator, one.met) == (3, 4, False)

    def test_what_still_waits_on_a_device_that_is_back_is_no_success(self, book: Book) -> None:
        waiting = OutboxSummary(pending=1, failed=1, oldest_age_ms=60_000, signed_out=1)
        replica = book.replica("phone", outbox=waiting, cursor_seq=2)
        book.connected(replica, T, outbox=OutboxSummary(pending=5))
        book.push(replica, T + SECOND_US, created_us=[T - HOUR_US] * 2)
        found = book.overview()
        one = found.measure("recovery_success_rate")
        assert (one.numerator, one.denominator) == (2, 4)
        assert "2 of them still wait" in one.note
        assert found.questions[0].answer == "no"
        assert found.devices.waiting_ops == 2
        assert not found.go

    def test_a_connection_that_has_just_returned_is_not_judged_yet(self, book: Book) -> None:
        replica = book.replica(outbox=OutboxSummary(pending=2, oldest_age_ms=HOUR_US // 1000))
        book.connected(replica, NOW_US - SECOND_US, outbox=OutboxSummary(pending=2))
        one = book.overview().measure("recovery_success_rate")
        assert (one.value, one.met) == (None, None)
        assert "only just returned" in one.note

    def test_what_was_brought_just_now_and_is_not_taken_yet_is_not_recovered(
        self, book: Book
    ) -> None:
        """Some of it arrived, and some was refused a second ago and waits for a person."""
        left = OutboxSummary(failed=2, reasons={"too_long": 2})
        replica = book.replica(outbox=left)
        book.connected(replica, NOW_US - SECOND_US, outbox=OutboxSummary(pending=4))
        book.push(replica, NOW_US - SECOND_US + 1, created_us=[T, T])
        found = book.overview()
        assert found.measure("recovery_success_rate").value == 1.0
        assert found.questions[0].answer_words == "Not yet"
        assert "2 changes wait on 1 device." in [one.words for one in found.reasons]

    def test_a_device_that_left_with_unsent_changes_makes_the_answer_not_yet(
        self, book: Book
    ) -> None:
        day_us = 24 * HOUR_US
        replica = book.replica(outbox=OutboxSummary(pending=3), seen_us=NOW_US - 9 * day_us)
        book.connected(replica, NOW_US - 9 * day_us, ended_us=NOW_US - 9 * day_us, code=1006)
        other = book.replica("desk")
        book.connected(other, T)
        book.push(other, T + 1, created_us=[T - HOUR_US])
        found = book.overview()
        assert found.measure("recovery_success_rate").value == 1.0
        assert found.questions[0].answer_words == "Not yet"
        assert "3 more wait on devices that have not been back" in found.questions[0].evidence[1]
        assert found.devices.listed[0].state == "waiting"

    def test_changes_on_their_way_over_a_connection_that_stands_are_ordinary_traffic(
        self, book: Book
    ) -> None:
        replica_id = new_id()
        busy = OutboxSummary(pending=2, oldest_age_ms=300)
        replica = book.replica(outbox=busy, replica_id=replica_id)
        book.connected(replica, T)
        book.push(replica, T + 1, created_us=[T - HOUR_US])
        live = Live(frozenset({("ward", replica_id)}), trace=True)
        found = book.overview(live=live)
        assert found.questions[0].answer == "yes"
        assert found.devices.listed[0].connected is True


class TestLatency:
    def test_percentiles_are_of_what_was_written_online(self, book: Book) -> None:
        replica = book.replica()
        book.connected(replica, T)
        for n in range(1, 101):
            at_us = T + n * 10 * SECOND_US
            book.push(replica, at_us, created_us=[at_us - n * 10_000], took_us=0)
        found = book.overview()
        end_to_end = next(one for one in found.latency if one.key == "end_to_end")
        assert (end_to_end.p50_s, end_to_end.p95_s, end_to_end.p99_s) == (0.5, 0.95, 0.99)
        assert end_to_end.count == 100

    def test_the_server_is_measured_from_reading_to_saving(self, book: Book) -> None:
        book.push(book.replica(), T, created_us=[T], took_us=7_000)
        server = next(one for one in book.overview().latency if one.key == "server")
        assert (server.p50_s, server.count) == (0.007, 1)

    def test_visible_elsewhere_is_the_first_other_device(self, book: Book) -> None:
        author, first, second = book.replica(), book.replica("b"), book.replica("c")
        book.connected(author, T)
        book.push(author, T + SECOND_US, created_us=[T + SECOND_US])
        for replica, after_s in ((author, 1), (first, 3), (second, 2)):
            at_us = T + SECOND_US + after_s * SECOND_US
            book.run("INSERT INTO cursor_reports VALUES (?, 1, ?)", replica, at_us)
        visible = next(one for one in book.overview().latency if one.key == "visible")
        assert (visible.p50_s, visible.count) == (2.0, 1)

    def test_nobody_elsewhere_means_no_data(self, book: Book) -> None:
        author = book.replica()
        book.connected(author, T)
        book.push(author, T + SECOND_US, created_us=[T + SECOND_US])
        book.run("INSERT INTO cursor_reports VALUES (?, 1, ?)", author, T + 2 * SECOND_US)
        visible = next(one for one in book.overview().latency if one.key == "visible")
        assert (visible.p50_s, visible.count) == (None, 0)

    def test_a_thin_client_has_no_clock_that_anybody_knows(self, book: Book) -> None:
        thin = book.replica("", replica_id="http")
        book.push(thin, T, created_us=[T - HOUR_US])
        found = book.overview()
        assert found.measure("sync_latency").value is None
        assert found.measure("failure_rate").denominator == 1
        assert found.devices.total == 0


class TestWhatIsRecorded:
    def test_a_server_without_trace_says_not_recorded(self, book: Book) -> None:
        book.push(book.replica(), T, created_us=[T])
        for table in ("requests", "groups"):
            book.run(f"DELETE FROM {table}")
        found = book.overview()
        _check_not_recorded(found)

    def test_an_old_database_says_not_recorded(self, book: Book) -> None:
        written = book.push(replica := book.replica(), T, created_us=[T])
        book.acknowledged(replica, 0, 1, [written[0].op_id], named=False)
        for table in ("requests", "groups", "attempts", "client_attempts", "connections"):
            book.run(f"DROP TABLE {table}")
        book.run("DROP TABLE cursor_reports")
        book.run("ALTER TABLE acknowledged DROP COLUMN op_ids")
        book.run("ALTER TABLE acknowledged DROP COLUMN missing")
        book.run("PRAGMA user_version = 2")
        found = book.overview()
        _check_not_recorded(found)
        assert found.connections.recorded is False
        assert found.reconciliation.mood == "good"

    def test_a_bound_that_is_met_is_said(self, book: Book) -> None:
        replica = book.replica()
        for n in range(4):
            book.push(replica, T + n, created_us=[T])
        found = book.overview(bounds=Bounds(pushes=2))
        one = found.measure("failure_rate")
        assert one.denominator == 2
        assert one.note == "Measured over the newest 2 requests of this time."

    def test_a_time_that_is_recorded_in_part_only_shows_no_rate_of_it_all(self, book: Book) -> None:
        """The server ran without trace for a while; what failed then nobody knows."""
        replica = book.replica()
        book.push(replica, T, created_us=[T, T])
        book.push(replica, T + HOUR_US // 2, created_us=[T, T, T])
        book.run("DELETE FROM requests WHERE id = 2")
        one = book.overview().measure("failure_rate")
        assert (one.fraction_words, one.met) == ("0 of 2 attempts", None)
        assert one.note.startswith("Of 3 more changes of this time nothing is recorded")
        found = book.overview()
        assert found.questions[3].answer == "unknown"
        reason = next(one for one in found.reasons if one.code == "failure_rate")
        assert reason.mood == "unknown"
        assert reason.words.startswith("Failure rate: 0 %, but not over all of this time. Of 3")
        assert not found.go

    def test_a_server_that_records_nothing_now_shows_no_target_as_met(self, book: Book) -> None:
        """Nothing was accepted since, so the log alone does not tell that something is missing."""
        book.push(book.replica(), T, created_us=[T])
        one = book.overview(live=Live(frozenset(), trace=False)).measure("failure_rate")
        assert (one.fraction_words, one.met) == ("0 of 1 attempt", None)
        assert "switched off now" in one.note

    def test_a_part_without_record_before_the_window_plays_no_part(self, book: Book) -> None:
        replica = book.replica()
        book.push(replica, NOW_US - 30 * HOUR_US, created_us=[T])
        book.push(replica, T, created_us=[T])
        book.push(replica, NOW_US + HOUR_US, created_us=[T])
        book.run("DELETE FROM requests WHERE id = 1")
        assert book.overview(window="24h").measure("failure_rate").met is True
        assert book.overview(window="7d").measure("failure_rate").met is None

    def test_a_worse_rate_than_the_target_is_missed_however_much_is_recorded(
        self, book: Book
    ) -> None:
        replica = book.replica()
        book.push(replica, T, created_us=[T])
        book.push(replica, T, created_us=[T], refused=1)
        book.attempt(new_id(), "refused", "out_of_range")
        book.run("DELETE FROM requests WHERE id = 1")
        assert book.overview().measure("failure_rate").met is False

    @pytest.mark.parametrize("told", [True, False])
    def test_what_is_cut_is_cut_from_the_failed_and_the_others_alike(
        self, book: Book, told: bool
    ) -> None:
        """Else more failures than are looked at would make a better rate."""
        replica = book.replica()
        for n in range(4):
            book.push(replica, T + n, created_us=[T], refused=0 if told else 3)
            for _ in range(3):
                if told:
                    book.told(new_id(), new_id(), T, "cut")
                else:
                    book.attempt(new_id(), "refused", "out_of_range")
        whole = book.overview().measure("failure_rate")
        assert (whole.fraction_words, whole.note) == ("12 of 16 attempts", "")
        cut = book.overview(bounds=Bounds(attempts=7)).measure("failure_rate")
        assert cut.fraction_words == "6 of 8 attempts"
        assert cut.note == "Measured over the newest 2 requests of this time."
        few = book.overview(bounds=Bounds(pushes=2)).measure("failure_rate")
        assert few.fraction_words == "6 of 8 attempts"


def _check_not_recorded(found: Overview) -> None:
    assert found.recorded is False
    assert found.recorded_words.startswith("Not recorded here")
    assert found.failures.attempts is None
    for key in ("failure_rate", "recovery_success_rate", "average_retries", "sync_latency"):
        assert found.measure(key).value is None
        assert found.measure(key).note.startswith("Not recorded here")
    assert found.measure("conflict_age").met is True
    assert found.questions[3].answer == "unknown"
    assert not found.go


class TestSpacesAndEyes:
    def test_one_space_counts_only_its_own(self, book: Book) -> None:
        book.push(book.replica(), T, created_us=[T, T])
        home = book.replica(space="home")
        book.push(home, T, space="home", created_us=[T])
        assert book.overview(space="home").measure("failure_rate").denominator == 1
        assert book.overview(may_enter={"ward"}).measure("failure_rate").denominator == 2
        assert book.overview().measure("failure_rate").denominator == 3
        assert book.overview().spaces == ("home", "ward")

    def test_a_space_that_is_not_there_is_an_empty_one(self, book: Book) -> None:
        book.push(book.replica(), T, created_us=[T])
        found = book.overview(space="nowhere")
        assert (found.spaces, found.devices.total) == ((), 0)

    def test_hidden_fields_stand_in_no_list_and_no_example(self, book: Book) -> None:
        replica = book.replica()
        book.push(replica, T, refused=3)
        for collection, field in (
            ("patient", "allergies"),
            ("patient", "name"),
            ("secret", "code"),
            ("unheard", "of"),
        ):
            book.attempt(new_id(), "refused", "too_long", collection=collection, field=field)
        book.conflict()
        book.conflict("r/name")
        whole, part = book.overview(), book.overview(seen=SOME)
        assert {(one.collection, one.field) for one in whole.failures.refusals} == {
            ("patient", "allergies"),
            ("patient", "name"),
            ("secret", "code"),
            ("unheard", "of"),
        }
        assert {(one.collection, one.field) for one in part.failures.refusals} == {
            ("patient", None),
            ("patient", "name"),
        }
        assert not any(one.examples for one in part.failures.refusals)
        assert [one.field for one in whole.conflicts.fields] == ["allergies", "name"]
        assert [one.field for one in part.conflicts.fields] == ["name"]
        assert (whole.conflicts.open, part.conflicts.open) == (2, 1)
        shown = " ".join(part.questions[1].evidence)
        assert "Name" in shown
        assert "allergies" not in shown

    def test_an_op_of_readable_fields_is_an_example_for_who_sees_less(self, book: Book) -> None:
        (op,) = book.push(book.replica(), T, created_us=[T], attempts=2)
        book.told(op.op_id, new_id(), T, "cut")
        (reason,) = book.overview(seen=SOME).failures.reasons
        assert [one.op_id for one in reason.examples] == [op.op_id]

    def test_conflicts_that_are_hidden_do_not_hide_those_that_are_not(self, book: Book) -> None:
        """The bound is on what the reader may read; else "none open" would be said of one."""
        for n in range(4):
            book.conflict(opened_us=T + n)
        book.conflict("r/name", opened_us=T + 50)
        found = book.overview(seen=SOME, bounds=Bounds(conflicts=3))
        assert found.conflicts.open == 1
        assert found.measure("conflict_age").value == pytest.approx(3_600, abs=1)

    def test_a_size_tells_nothing_of_what_is_hidden_in_a_record(self, book: Book) -> None:
        for number, collection in enumerate(("patient", "secret", "bed") * 6, start=1):
            weight = 100 if collection == "bed" else 10_000
            book.record(collection, f"r{number}", size_bytes=weight + number)
        whole, part = book.overview().storage, book.overview(seen=SOME).storage
        assert [one.record for one in whole.largest] == ["r17", "r16", "r14", "r13", "r11"]
        # Those of which everything may be read, however small beside the others.
        assert [one.record for one in part.largest] == ["r18", "r15", "r12", "r9", "r6"]
        assert {one.collection for one in part.largest} == {"bed"}
        assert {one.table: one.rows for one in whole.rows} == {
            "log": 18,
            "records": 18,
            "spaces": 1,
        }
        assert [one.table for one in part.rows] == ["log", "spaces"]


class TestConflictsAndConnections:
    def test_the_life_of_conflicts_within_the_window(self, book: Book) -> None:
        settled = [("opened", T, "kim"), ("resolved", T + 1, "lee")]
        book.conflict(status="resolved", opened_us=T, events=settled)
        long_ago = NOW_US - 30 * 24 * HOUR_US
        book.conflict(opened_us=long_ago, events=[("opened", long_ago, "kim")])
        found = book.overview()
        conflicts = found.conflicts
        assert (conflicts.open, conflicts.opened, conflicts.resolved) == (1, 1, 1)
        assert [(one.user, one.count) for one in conflicts.by] == [("lee", 1)]
        assert conflicts.words == "1 conflict is open, the oldest for 30 days."
        assert found.measure("conflict_age").met is False
        assert found.sentence.startswith("Something needs attention: Age of the oldest")

    def test_close_codes_are_counted_with_their_meaning(self, book: Book) -> None:
        replica = book.replica()
        for n, code in enumerate((1000, 1006, 1006, 4999)):
            book.connected(replica, T + n, ended_us=T + n, code=code)
        book.connected(replica, T + 9)
        connections = book.overview().connections
        assert connections.admitted == 5
        assert (connections.closes[0].code, connections.closes[0].count) == (1006, 2)
        assert {one.words for one in connections.closes} == {
            "the device was done",
            "the network was cut",
            "code 4999",
        }


def test_charts_share_their_axis_and_have_gaps_where_nothing_was_sent(book: Book) -> None:
    replica = book.replica()
    book.connected(replica, T)
    book.push(replica, T + SECOND_US, created_us=[T + SECOND_US] * 2, attempts=2)
    book.push(replica, T + 2 * SECOND_US, refused=1)
    book.attempt(new_id(), "refused", "too_long")
    charts = book.overview(window="24h").charts
    assert {len(one.values) for one in charts.series} == {len(charts.at_us)}
    assert sum(value or 0 for value in charts.of("accepted").values) == 2
    rates = [value for value in charts.of("failure_rate").values if value is not None]
    assert rates == [pytest.approx(1 / 3)]
    assert [v for v in charts.of("retries").values if v is not None] == [1.0]
    with pytest.raises(KeyError):
        charts.of("nothing")


class TestDevices:
    def test_ops_that_arrived_after_the_last_report_do_not_wait(self, book: Book) -> None:
        """The device was cut before it could say that it has got rid of them."""
        told = OutboxSummary(pending=3, failed=1)
        replica = book.replica(outbox=told, cursor_seq=0)
        book.push(replica, T, created_us=[T, T])
        device = book.overview().devices.listed[0]
        assert (device.pending, device.failed) == (1, 1)
        assert device.state == "needs_person"

    def test_what_passes_by_itself_needs_no_person(self, book: Book) -> None:
        for number, reasons in enumerate(({"overloaded": 1}, {"overloaded": 1, "too_long": 1})):
            book.replica(f"{number}", outbox=OutboxSummary(failed=2, reasons=reasons))
        book.replica("out", outbox=OutboxSummary(pending=1, signed_out=1))
        book.replica("gone", seen_us=NOW_US - 8 * 24 * HOUR_US)
        book.replica("fine")
        devices = book.overview().devices
        states = {one.device: one.state for one in devices.listed}
        assert states == {
            "0": "waiting",
            "1": "needs_person",
            "out": "needs_person",
            "gone": "away",
            "fine": "in_step",
        }
        assert devices.listed[-1].device == "fine"
        (refused,) = (one for one in devices.listed if one.device == "1")
        assert "the server is busy (1)" in refused.reason_words
        assert devices.words == "5 changes wait on 3 of 5 devices."
