"""Headings and columns of the report, and what its command says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.catalogue.wording import Words

PAGE: Final[Mapping[str, Words]] = {
    "heading_report": Words(en="Sync report", ko="동기화 보고서"),
    "heading_why": Words(en="Why", ko="이유"),
    "heading_questions": Words(en="The four questions of the week", ko="이번 주의 네 가지 질문"),
    "heading_measures": Words(en="Measures and targets", ko="측정값과 목표"),
    "heading_latency": Words(en="How long it takes", ko="걸리는 시간"),
    "heading_devices": Words(en="Devices that have not synced", ko="동기화하지 못한 기기"),
    "heading_reconciliation": Words(en="Losses and duplicates", ko="유실과 중복"),
    "heading_conflicts": Words(en="Open conflicts", ko="열린 충돌"),
    "heading_failures": Words(en="What failed most", ko="많이 실패한 이유"),
    "heading_refusals": Words(en="Refused by a rule", ko="규칙에 따라 받지 않은 변경"),
    "heading_acceptance": Words(en="The last acceptance run", ko="최근 인수 시험"),
    "heading_clocks": Words(en="Clocks that are off", ko="시각이 어긋난 기기"),
    "heading_about": Words(en="About this report", ko="보고서 정보"),
    "column_measure": Words(en="Measure", ko="항목"),
    "column_value": Words(en="Measured", ko="측정값"),
    "column_target": Words(en="Target", ko="목표"),
    "column_met": Words(en="Met?", ko="달성"),
    "column_formula": Words(en="How it is measured", ko="계산 방법"),
    "column_way": Words(en="Way", ko="구간"),
    "column_p50": Words(en="Half of all within", ko="절반이 이 안에"),
    "column_p95": Words(en="95 of 100 within", ko="100건 중 95건"),
    "column_p99": Words(en="99 of 100 within", ko="100건 중 99건"),
    "column_count": Words(en="Cases", ko="건수"),
    "column_device": Words(en="Device", ko="기기"),
    "column_person": Words(en="Person", ko="사람"),
    "column_space": Words(en="Space", ko="공간"),
    "column_waits": Words(en="Waiting", ko="대기"),
    "column_oldest": Words(en="Oldest", ko="가장 오래됨"),
    "column_state": Words(en="State", ko="상태"),
    "column_check": Words(en="Check", ko="확인한 내용"),
    "column_result": Words(en="Result", ko="결과"),
    "column_found": Words(en="What was found", ko="확인한 결과"),
    "acceptance_ran": Words(en="Run at {at}", ko="실행 시각: {at}"),
    "column_field": Words(en="Field", ko="항목"),
    "column_record": Words(en="Record", ko="기록"),
    "column_age": Words(en="Open for", ko="열린 시간"),
    "column_values": Words(en="Values", ko="값"),
    "column_reason": Words(en="Reason", ko="이유"),
    "column_shown": Words(en="What people saw", ko="사용자에게 보인 메시지"),
    "column_times": Words(en="Attempts", ko="시도"),
    "column_examples": Words(en="Look into (request_id)", ko="추적할 번호(request_id)"),
    "column_off": Words(en="Off by", ko="오차"),
    "column_scenario": Words(en="Scenario", ko="시나리오"),
    "mood_good": Words(en="in order", ko="정상"),
    "mood_bad": Words(en="NOT in order", ko="이상 있음"),
    "mood_unknown": Words(en="not shown", ko="확인하지 못함"),
    "met_yes": Words(en="yes", ko="예"),
    "met_no": Words(en="NO", ko="아니요"),
    "met_unknown": Words(en="no data", ko="데이터 없음"),
    "reason_mood_good": Words(en="speaks for it", ko="충족"),
    "reason_mood_bad": Words(en="speaks against it", ko="미충족"),
    "reason_mood_unknown": Words(en="not shown", ko="확인하지 못함"),
    "nothing_waits": Words(
        en="Nothing waits on any device that was heard of.",
        ko="확인된 기기에 기다리는 변경이 없어요.",
    ),
    "all_fine": Words(en="Nothing failed in this time.", ko="이 기간에 실패한 시도가 없어요."),
    "clocks_fine": Words(
        en="No clock is off by a minute or more.", ko="1분 넘게 어긋난 시계가 없어요."
    ),
    "more_devices": Words(en="{n} more are not listed.", ko="목록에 없는 기기가 {n}대 더 있어요."),
    "open_ops": Words(en="Changes that are concerned", ko="해당하는 변경 번호"),
    "about_window": Words(en="Time", ko="기간"),
    "about_made": Words(en="Made", ko="작성"),
    "about_spaces": Words(en="Spaces", ko="공간"),
    "about_policy": Words(en="Policy", ko="정책"),
    "about_version": Words(en="Software", ko="소프트웨어"),
    "about_storage": Words(en="Storage", ko="저장 공간"),
    "policy_version": Words(en="version {n}", ko="버전 {n}"),
    "more_spaces": Words(en="{names} and {n} more", ko="{names} 외 {n}곳"),
    "measured_when": Words(en="{window}, until {time} (UTC)", ko="{window}, {time} (UTC) 기준"),
    # The command.
    "written": Words(en="The report is at {path}", ko="보고서를 저장했어요: {path}"),
    "need_one": Words(
        en="Say where to look: --server URL or --data DIR, one of them.",
        ko="--server URL 또는 --data DIR 중 하나를 지정해 주세요.",
    ),
    "bad_out": Words(
        en="The report's file ends in .html, .md or .json, not like {name!r}.",
        ko="보고서 파일 이름은 .html, .md, .json 중 하나로 끝나야 해요: {name!r}",
    ),
    "bad_window": Words(
        en="{text!r} is not a time to look back over; write it like 90m, 24h, 7d or 4w, at most a "
        "year.",
        ko="돌아볼 기간은 90m, 24h, 7d, 4w처럼 1년 안에서 적어 주세요: {text!r}",
    ),
    "no_database": Words(
        en="There is no crdtsync database in {path}.",
        ko="{path} 폴더에 crdtsync 데이터베이스가 없어요.",
    ),
    "no_space": Words(
        en="There is no space {name!r} here. There is: {names}.",
        ko="여기에 없는 공간이에요: {name!r}. 있는 공간: {names}",
    ),
    "no_policy": Words(
        en="The database in {path} has never been served, so it has no policy.",
        ko="{path} 폴더의 데이터베이스는 아직 서버를 실행한 적이 없어서 정책이 없어요.",
    ),
    "not_a_report": Words(
        en="What {url} answered is no report of this version.",
        ko="{url} 서버의 답이 이 버전의 보고서가 아니에요.",
    ),
    "no_acceptance_file": Words(en="There is no file {path}.", ko="{path} 파일이 없어요."),
}
