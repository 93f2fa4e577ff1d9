"""What the report says about measures, reconciliation, questions and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.catalogue.wording import Words

MEASURES: Final[Mapping[str, Words]] = {
    "no_data": Words(en="no data", ko="데이터 없음"),
    # Names.
    "measure_failure_rate": Words(en="Failure rate", ko="실패율"),
    "measure_recovery_success_rate": Words(en="Recovery success rate", ko="복구 시 동기화 성공률"),
    "measure_average_retries": Words(en="Average retries", ko="평균 재시도 횟수"),
    "measure_sync_latency": Words(en="Sync latency", ko="동기화 지연"),
    "measure_conflict_age": Words(en="Age of the oldest open conflict", ko="가장 오래된 열린 충돌"),
    # Targets.
    "target_failure_rate": Words(en="at most {target}", ko="{target} 이하"),
    "target_recovery_success_rate": Words(en="at least {target}", ko="{target} 이상"),
    "target_average_retries": Words(en="at most {target}", ko="{target} 이하"),
    "target_sync_latency": Words(
        en="at most {target} for 95 of 100 changes", ko="변경 100건 중 95건이 {target} 이하"
    ),
    "target_conflict_age": Words(en="at most {target}", ko="{target} 이하"),
    # Formulas.
    "formula_failure_rate": Words(
        en="Attempts that ended in failed, divided by all attempts. An attempt is one sending of "
        "one change, also one that never arrived; devices tell of those later.",
        ko="실패로 끝난 시도 ÷ 전체 시도. 변경 하나를 한 번 보내면 시도 한 번이에요. 도착하지 못한 "
        "시도는 나중에 기기에서 알려 줘요.",
    ),
    "formula_recovery_success_rate": Words(
        en="Changes written offline that were synced within {time} after the connection "
        "returned, divided by all such changes. Those that still wait on a device whose "
        "connection has returned count as not synced.",
        ko="오프라인에서 쓴 변경 중 연결이 돌아온 뒤 {time} 안에 동기화한 변경 ÷ 오프라인에서 쓴 "
        "전체 변경. 연결이 돌아왔는데도 기기에 남아 있는 변경은 동기화하지 못한 것으로 세요.",
    ),
    "formula_average_retries": Words(
        en="(Attempts − 1), averaged over all synced changes.",
        ko="동기화한 변경마다 (시도 횟수 − 1)을 구한 평균.",
    ),
    "formula_sync_latency": Words(
        en="Receipt minus write, corrected for the device's clock: the 95th percentile of the "
        "changes that were written online.",
        ko="서버에서 받은 시각 − 쓴 시각(기기 시계 오차 보정). 온라인에서 쓴 변경의 95번째 "
        "백분위수예요.",
    ),
    "formula_conflict_age": Words(
        en="Now minus the moment at which the oldest conflict that is still open was opened.",
        ko="지금 시각 − 아직 열려 있는 가장 오래된 충돌이 생긴 시각.",
    ),
    # How a value came about.
    "fraction_failure_rate": Words(
        en="{part} of {whole} {whole:attempt|attempts}", ko="시도 {whole}건 중 {part}건"
    ),
    "fraction_recovery_success_rate": Words(
        en="{part} of {whole} {whole:change|changes} written offline",
        ko="오프라인에서 쓴 변경 {whole}건 중 {part}건",
    ),
    "fraction_average_retries": Words(
        en="{part} {part:retry|retries} for {whole} synced {whole:change|changes}",
        ko="동기화한 변경 {whole}건에 재시도 {part}번",
    ),
    "fraction_sync_latency": Words(
        en="{whole} {whole:change|changes} written online", ko="온라인에서 쓴 변경 {whole}건"
    ),
    "fraction_conflict_age": Words(
        en="{whole} open {whole:conflict|conflicts}", ko="열린 충돌 {whole}건"
    ),
    # Why there is no value.
    "no_data_failure_rate": Words(
        en="Nothing was sent in this time.", ko="이 기간에 보낸 변경이 없어요."
    ),
    "no_data_recovery_success_rate": Words(
        en="No change that was written offline arrived in this time.",
        ko="이 기간에 도착한 오프라인 변경이 없어요.",
    ),
    "no_data_average_retries": Words(
        en="No change was synced in this time.", ko="이 기간에 동기화한 변경이 없어요."
    ),
    "no_data_sync_latency": Words(
        en="No change was written online in this time.",
        ko="이 기간에 온라인에서 쓴 변경이 없어요.",
    ),
    "no_data_server": Words(
        en="Nothing was saved in this time.", ko="이 기간에 저장한 변경이 없어요."
    ),
    "no_data_end_to_end": Words(
        en="No change was written online in this time.",
        ko="이 기간에 온라인에서 쓴 변경이 없어요.",
    ),
    "no_data_visible": Words(
        en="No other device has reported to hold a change of this time.",
        ko="이 기간의 변경을 받았다고 알린 다른 기기가 없어요.",
    ),
    "no_data_offline": Words(
        en="No change that was written offline arrived in this time.",
        ko="이 기간에 도착한 오프라인 변경이 없어요.",
    ),
    "recovery_waiting": Words(
        en="{n} of them still {n:waits|wait} on devices whose connection has returned.",
        ko="그중 {n}건은 연결이 돌아온 기기에 아직 남아 있어요.",
    ),
    "recovery_fresh": Words(
        en="{n} more {n:is|are} not counted yet: the connection has only just returned.",
        ko="방금 연결된 기기의 {n}건은 아직 세지 않았어요.",
    ),
    "recovery_unheard": Words(
        en="{n} more {n:waits|wait} on devices that have not been back, as far as they had told.",
        ko="아직 다시 연결하지 않은 기기에 {n}건이 더 기다리고 있어요(마지막으로 알린 기준).",
    ),
    # Latency.
    "latency_server": Words(en="In the server", ko="서버 안에서"),
    "latency_end_to_end": Words(en="From write to receipt, online", ko="쓰기부터 저장까지(온라인)"),
    "latency_visible": Words(en="From write to another device", ko="쓰기부터 다른 기기까지"),
    "latency_offline": Words(
        en="From the connection's return to receipt", ko="다시 연결한 뒤 저장까지"
    ),
    "formula_server": Words(
        en="From when a request was received until its changes were saved.",
        ko="요청을 받은 때부터 변경을 저장할 때까지.",
    ),
    "formula_end_to_end": Words(
        en="Receipt minus write, corrected for the device's clock; changes written online.",
        ko="저장한 시각 − 쓴 시각(기기 시계 오차 보정). 온라인에서 쓴 변경.",
    ),
    "formula_visible": Words(
        en="When the first other device reported to hold it, minus write; changes written online.",
        ko="다른 기기가 처음 받았다고 알린 시각 − 쓴 시각. 온라인에서 쓴 변경.",
    ),
    "formula_offline": Words(
        en="Receipt minus the beginning of the connection that delivered it; changes written "
        "offline.",
        ko="저장한 시각 − 그 변경을 보낸 연결이 시작된 시각. 오프라인에서 쓴 변경.",
    ),
    # Series.
    "series_accepted": Words(en="Changes synced", ko="동기화한 변경"),
    "series_attempts": Words(en="Attempts", ko="시도"),
    "series_failed": Words(en="Failed attempts", ko="실패한 시도"),
    "series_repeats": Words(en="Repeats answered from receipts", ko="다시 적용하지 않은 반복 요청"),
    "series_failure_rate": Words(en="Failure rate", ko="실패율"),
    "series_retries": Words(en="Retries per change", ko="변경당 재시도"),
    "series_end_to_end_p50": Words(en="Write to receipt, half of all", ko="쓰기부터 저장, 중간값"),
    "series_end_to_end_p95": Words(
        en="Write to receipt, 95 of 100", ko="쓰기부터 저장, 100건 중 95건"
    ),
    "series_end_to_end_p99": Words(
        en="Write to receipt, 99 of 100", ko="쓰기부터 저장, 100건 중 99건"
    ),
    "series_server_p50": Words(en="In the server, half of all", ko="서버 안에서, 중간값"),
    "series_server_p95": Words(en="In the server, 95 of 100", ko="서버 안에서, 100건 중 95건"),
    "series_server_p99": Words(en="In the server, 99 of 100", ko="서버 안에서, 100건 중 99건"),
    "series_conflicts_opened": Words(en="Conflicts opened", ko="생긴 충돌"),
    "series_conflicts_resolved": Words(en="Conflicts settled", ko="정리한 충돌"),
    "series_connected": Words(en="Connections begun", ko="시작한 연결"),
    "series_closed": Words(en="Connections ended", ko="끝난 연결"),
    # Reconciliation.
    "reconciled_good": Words(
        en="Nothing lost, nothing doubled: {ops:,} {ops:change|changes} that {devices} "
        "{devices:device|devices} saw acknowledged {ops:stands|stand} in the log, once.",
        ko="유실도 중복도 없어요. 기기 {devices}대에서 저장을 확인한 변경 {ops:,}건이 서버에 한 "
        "번씩 모두 있어요.",
    ),
    "reconciled_bad": Words(
        en="The accounts do not agree: {findings} {findings:finding|findings}.",
        ko="서버와 기기의 기록이 맞지 않아요. 맞지 않는 곳 {findings}개.",
    ),
    "reconciled_nothing": Words(
        en="No device has reported acknowledged changes in this time, so nothing was compared.",
        ko="이 기간에 저장 확인을 알린 기기가 없어서 비교하지 못했어요.",
    ),
    "reconciled_not_shown": Words(
        en="None of the {n:,} {n:change|changes} that devices saw acknowledged could be compared "
        "one by one. `crdtsync verify` checks the data itself.",
        ko="기기에서 저장을 확인한 변경 {n:,}건을 하나씩 비교하지 못했어요. `crdtsync verify` "
        "명령은 데이터 자체를 확인해요.",
    ),
    "reconciled_but": Words(
        en="{n:,} more could not be compared one by one.",
        ko="{n:,}건은 더 있지만 하나씩 비교하지 못했어요.",
    ),
    "check_devices": Words(
        en="What devices saw acknowledged is in the log", ko="기기에서 확인한 변경이 서버에 있음"
    ),
    "check_devices_good": Words(
        en="{ops:,} {ops:change|changes} in {ranges} {ranges:report|reports} of {devices} "
        "{devices:device|devices}: all agree.",
        ko="기기 {devices}대가 알린 보고 {ranges}건의 변경 {ops:,}건이 모두 맞아요.",
    ),
    "check_devices_bad": Words(
        en="{wrong} of {ranges} reports do not agree; {ops:,} changes were compared.",
        ko="보고 {ranges}건 중 {wrong}건이 맞지 않아요. 비교한 변경 {ops:,}건.",
    ),
    "check_devices_unknown": Words(
        en="No device has reported in this time.", ko="이 기간에 알린 기기가 없어요."
    ),
    "check_devices_none": Words(
        en="Nothing could be compared one by one.", ko="하나씩 비교한 변경이 없어요."
    ),
    "check_not_reported": Words(
        en="{n:,} more of this time have not been reported yet; devices do so every minute or "
        "when they connect again.",
        ko="이 기간의 변경 {n:,}건은 아직 기기에서 알리지 않았어요. 기기는 1분마다 또는 다시 "
        "연결할 때 알려요.",
    ),
    "check_unproved": Words(
        en="{n:,} more are told by number only and could not be compared one by one.",
        ko="{n:,}건은 더 있지만 개수만 알려서 하나씩 비교하지 못했어요.",
    ),
    "check_not_compared": Words(
        en="{n:,} more were left out, to bound the work.",
        ko="작업량 제한 때문에 {n:,}건은 비교하지 않았어요.",
    ),
    "check_order": Words(en="No gaps in the log", ko="서버 기록에 빈자리 없음"),
    "check_chain": Words(en="Each digest follows from the one before", ko="이어지는 확인값이 맞음"),
    "check_receipts": Words(en="Every change has its receipt", ko="변경마다 저장 확인 기록이 있음"),
    "check_doubled": Words(en="No change stands twice", ko="두 번 들어간 변경 없음"),
    "check_own_good": Words(
        en="{n:,} {n:change|changes} checked, all right.", ko="변경 {n:,}건을 확인했고 모두 맞아요."
    ),
    "check_own_bad": Words(
        en="{wrong} {wrong:fault|faults} among {n:,} changes.",
        ko="변경 {n:,}건 중 {wrong}곳이 맞지 않아요.",
    ),
    "check_own_unknown": Words(en="The log is empty.", ko="서버 기록이 비어 있어요."),
    "check_newest": Words(
        en="(Only the newest ones of each space; `crdtsync report` reads all.)",
        ko="(공간마다 최근 변경만 확인했어요. `crdtsync report` 명령은 모두 확인해요.)",
    ),
    "finding_missing": Words(
        en="{n} of {count} changes that “{device}” ({user}) saw acknowledged between places "
        "{first} and {last} of {space} {n:is|are} not in the log there.",
        ko="기기 ‘{device}’({user})에서 저장을 확인한 변경 {count}건 중 {n}건이 {space} 공간의 "
        "{first}~{last}번 자리에 없어요.",
    ),
    "finding_fewer": Words(
        en="“{device}” ({user}) saw {count} changes acknowledged between places {first} and "
        "{last} of {space}; the log has {n} fewer of it.",
        ko="기기 ‘{device}’({user})에서 {space} 공간의 {first}~{last}번 자리에 변경 {count}건의 "
        "저장을 확인했는데, 서버에는 {n}건이 모자라요.",
    ),
    "finding_different": Words(
        en="The {count} changes that “{device}” ({user}) saw acknowledged between places {first} "
        "and {last} of {space} are not the ones that the log has.",
        ko="기기 ‘{device}’({user})에서 저장을 확인한 변경 {count}건과 {space} 공간의 "
        "{first}~{last}번 자리에 있는 변경이 서로 달라요.",
    ),
    "finding_gap": Words(
        en="The log of {space} has nothing at the places {first} to {last}.",
        ko="{space} 공간의 기록에서 {first}~{last}번 자리가 비어 있어요.",
    ),
    "finding_gap_one": Words(
        en="The log of {space} has nothing at place {first}.",
        ko="{space} 공간의 기록에서 {first}번 자리가 비어 있어요.",
    ),
    "finding_head": Words(
        en="The log of {space} ends at place {seq}, its head says {head}, or their digests differ.",
        ko="{space} 공간의 기록은 {seq}번에서 끝나는데 머리 정보는 {head}번이거나 확인값이 달라요.",
    ),
    "finding_chain": Words(
        en="The digest at place {seq} of {space} does not follow from the one before it.",
        ko="{space} 공간의 {seq}번 자리 확인값이 앞의 값에서 이어지지 않아요.",
    ),
    "finding_unreadable": Words(
        en="What stands at place {seq} of {space} cannot be read: the database is damaged. "
        "`crdtsync verify` tells how far.",
        ko="{space} 공간의 {seq}번 자리를 읽을 수 없어요. 데이터베이스가 손상됐어요. 손상된 범위는 "
        "`crdtsync verify` 명령이 알려 줘요.",
    ),
    "finding_receipt": Words(
        en="The change at place {seq} of {space} has no receipt.",
        ko="{space} 공간의 {seq}번 자리 변경에 저장 확인 기록이 없어요.",
    ),
    "finding_log": Words(
        en="The receipt of a change leads to place {seq} of {space}, and nothing is there.",
        ko="저장 확인 기록에 적힌 {space} 공간의 {seq}번 자리에 변경이 없어요.",
    ),
    "finding_doubled": Words(
        en="The same change stands in the log of {space} twice: at the places {first} and {last}.",
        ko="같은 변경이 {space} 공간의 기록에 두 번 있어요: {first}번, {last}번 자리.",
    ),
    # The weekly questions.
    "question_recovered": Words(
        en="Is everything that was written offline recovered?",
        ko="오프라인에서 쓴 내용이 모두 복구됐나요?",
    ),
    "question_messages": Words(
        en="What do people see when something fails?", ko="실패하면 사용자에게 무엇이 보이나요?"
    ),
    "question_duplicates": Words(en="Are duplicates blocked?", ko="중복을 막고 있나요?"),
    "question_failure_rate": Words(
        en="Is the failure rate under its target?", ko="실패율이 목표보다 낮은가요?"
    ),
    "answer_yes": Words(en="Yes", ko="예"),
    "answer_no": Words(en="No", ko="아니요"),
    "answer_unknown": Words(en="Not shown", ko="확인하지 못함"),
    "answer_not_yet": Words(en="Not yet", ko="아직이에요"),
    "answer_messages": Words(en="{n} {n:message|messages}", ko="메시지 {n}가지"),
    "nothing_failed": Words(en="Nothing failed", ko="실패 없음"),
    "evidence_recovered": Words(
        en="{part} of {whole} changes written offline are on the server, {in_time} of them within "
        "{time} after the connection returned.",
        ko="오프라인에서 쓴 변경 {whole}건 중 {part}건이 서버에 있고, 그중 {in_time}건은 다시 "
        "연결한 뒤 {time} 안에 저장했어요.",
    ),
    "evidence_waiting": Words(
        en="{n} {n:change waits|changes wait} on devices; the oldest one is on “{device}”, {age} "
        "old.",
        ko="기기에서 기다리는 변경 {n}건. 가장 오래된 것은 ‘{device}’에 있고 {age} 지났어요.",
    ),
    "evidence_message": Words(en="“{message}” – {n} {n:time|times}", ko="‘{message}’ – {n}번"),
    "evidence_no_failure": Words(
        en="No attempt failed in this time, so nobody saw a message.",
        ko="이 기간에 실패한 시도가 없어서 보여 준 메시지도 없어요.",
    ),
    "evidence_repeats": Words(
        en="{n} {n:repeat was|repeats were} answered from receipts and not applied again.",
        ko="반복해서 온 변경 {n}건은 이미 저장했다고 답하고 다시 적용하지 않았어요.",
    ),
    "evidence_rate": Words(
        en="{value} ({fraction}); target: {target}.", ko="{value} ({fraction}), 목표: {target}"
    ),
    # The verdict.
    "verdict_go": Words(en="Go", ko="진행"),
    "verdict_no_go": Words(en="No-Go", ko="중단"),
    "nothing_open": Words(en="none open", ko="없음"),
    "quiet": Words(en="Nothing to judge yet.", ko="아직 판단할 데이터가 없어요."),
    "healthy": Words(en="All is well.", ko="모두 정상이에요."),
    "unhealthy": Words(en="Something needs attention: {why}", ko="확인이 필요해요. {why}"),
    "may_go": Words(
        en="Everything that has to be shown is shown: Go.",
        ko="필요한 확인이 모두 끝났어요. 진행해도 돼요.",
    ),
    "may_go_but": Words(
        en="Everything that has to be shown is shown: Go. Not everything is on the server yet: "
        "{why}",
        ko="필요한 확인이 모두 끝났어요. 진행해도 돼요. 다만 아직 서버에 없는 변경이 있어요. {why}",
    ),
    "may_not_go": Words(en="No-Go for now.", ko="지금은 중단이에요."),
    "well_but_not_accepted": Words(
        en="The measurements are good, but the acceptance run is not. {why}",
        ko="측정한 값은 목표를 지켰지만 인수 시험 때문에 진행할 수 없어요. {why}",
    ),
    "well_but_not_shown": Words(
        en="Nothing is wrong so far, but something is still to be shown. {why}",
        ko="지금까지 문제는 없지만 확인이 더 필요해서 아직 진행할 수 없어요. {why}",
    ),
    "not_shown": Words(
        en="No-Go until it is shown: {why}", ko="확인이 더 필요해서 아직 진행할 수 없어요. {why}"
    ),
    "reason_measure_good": Words(
        en="{name}: {value}, target {target}.", ko="{name}: {value} (목표: {target})"
    ),
    "reason_measure_bad": Words(
        en="{name}: {value} misses the target of {target}. {note}",
        ko="{name}: {value}, 목표({target})에 미치지 못해요. {note}",
    ),
    "reason_measure_unknown": Words(en="{name}: no data. {note}", ko="{name}: 데이터 없음. {note}"),
    "reason_measure_partly": Words(
        en="{name}: {value}, but not over all of this time. {note}",
        ko="{name}: {value}, 기간 전체의 값은 아니에요. {note}",
    ),
    "reason_acceptance": Words(en="Acceptance run: {words}", ko="인수 시험: {words}"),
    "reason_waiting": Words(
        en="{n} {n:change waits|changes wait} on {devices} {devices:device|devices}.",
        ko="기기 {devices}대에서 변경 {n}건이 기다리고 있어요.",
    ),
}
