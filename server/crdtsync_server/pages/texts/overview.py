"""Words of the dashboard that do not come with the figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.catalogue.wording import Words

OVERVIEW: Final[Mapping[str, Words]] = {
    "dashboard_title": Words(en="Dashboard", ko="현황판"),
    "window": Words(en="Time to look at", ko="볼 기간"),
    "window_1h": Words(en="1 hour", ko="1시간"),
    "window_24h": Words(en="24 hours", ko="24시간"),
    "window_7d": Words(en="7 days", ko="7일"),
    "updated_at": Words(en="As of {time}", ko="{time} 기준"),
    "mood_good": Words(en="Good", ko="좋음"),
    "mood_bad": Words(en="Needs attention", ko="확인 필요"),
    "mood_unknown": Words(en="Not known", ko="알 수 없음"),
    "met_good": Words(en="On target", ko="목표 달성"),
    "met_bad": Words(en="Off target", ko="목표 미달"),
    "met_unknown": Words(en="No data", ko="자료 없음"),
    "in_order": Words(en="In order ({n})", ko="문제없음 ({n})"),
    "formula": Words(en="How it is counted", ko="계산 방법"),
    "formulas": Words(en="How they are counted", ko="계산 방법"),
    "panel_measures": Words(en="Figures and targets", ko="지표와 목표"),
    "panel_questions": Words(en="This week's questions", ko="이번 주 질문"),
    "panel_conflicts": Words(en="Conflicts", ko="충돌"),
    "panel_failures": Words(en="Failures by reason", ko="이유별 실패"),
    "panel_devices": Words(
        en="Retries, and what waits on devices", ko="재시도와 기기에서 기다리는 변경"
    ),
    "panel_latency": Words(en="How long it takes", ko="걸리는 시간"),
    "panel_connections": Words(en="Connections", ko="연결"),
    "panel_refusals": Words(en="Refused by a rule", ko="규칙에 따라 받지 않은 변경"),
    "panel_trace": Words(en="Follow one change", ko="변경 하나 따라가기"),
    "panel_skew": Words(en="Clocks of devices", ko="기기 시계"),
    "panel_storage": Words(en="Storage", ko="저장 공간"),
    "panel_proof": Words(en="Nothing lost, nothing doubled", ko="유실과 중복 확인"),
    "oldest": Words(en="Oldest", ko="가장 오래된 것"),
    "opened_in_window": Words(en="Opened in this time", ko="기간 중 발생"),
    "open_inbox": Words(en="Open the inbox", ko="충돌함 열기"),
    "resolved_by_list": Words(en="Decided by: {people}", ko="정한 사람: {people}"),
    "why": Words(en="Why", ko="이유"),
    "shown_to_people": Words(en="What people were shown", ko="사용자가 본 안내"),
    "attempts": Words(en="Attempts", ko="시도"),
    "share": Words(en="Share", ko="비율"),
    "examples": Words(en="Examples", ko="예"),
    "needs_person": Words(en="needs a person", ko="사람이 확인해야 함"),
    "retries_itself": Words(en="tried again by itself", ko="자동으로 다시 시도"),
    "failures_words": Words(
        en="{failed} of {attempts} {attempts:attempt|attempts} failed. {repeats} "
        "{repeats:repeat was|repeats were} answered from receipts, so nothing was doubled.",
        ko="시도 {attempts}번 중 {failed}번 실패했어요. 다시 온 요청 {repeats}건은 "
        "영수증으로 답해서 중복되지 않았어요.",
    ),
    "failures_none": Words(en="No attempt failed in this time.", ko="이 기간에는 실패가 없었어요."),
    "rule": Words(en="Rule", ko="규칙"),
    "times": Words(en="Times", ko="횟수"),
    "refusals_none": Words(
        en="No rule refused a change in this time.",
        ko="이 기간에 규칙 때문에 받지 않은 변경이 없어요.",
    ),
    "device": Words(en="Device", ko="기기"),
    "device_state": Words(en="State", ko="상태"),
    "device_oldest": Words(en="Oldest waits for", ko="가장 오래 기다린 시간"),
    "latency_of": Words(en="From … to …", ko="구간"),
    "cases": Words(en="Cases", ko="건수"),
    "percentiles_words": Words(
        en="p50: half of all cases are faster. p95 and p99: 95 and 99 of 100 cases are faster.",
        ko="p50: 절반이 이보다 빨라요. p95, p99: 100건 중 95건, 99건이 이보다 빨라요.",
    ),
    "close_code": Words(en="Close code", ko="종료 코드"),
    "meaning": Words(en="Meaning", ko="뜻"),
    "connections_words": Words(
        en="{open} open now, {admitted} signed in during this time.",
        ko="지금 열린 연결 {open}개, 이 기간에 시작한 연결 {admitted}개",
    ),
    "closes_none": Words(
        en="No connection ended in this time.", ko="이 기간에 끝난 연결이 없어요."
    ),
    "clock": Words(en="Clock", ko="시계"),
    "difference": Words(en="Difference", ko="차이"),
    "skew_none": Words(en="No device has told its time yet.", ko="아직 시각을 알린 기기가 없어요."),
    "skew_words": Words(
        en="A clock that is off changes nothing about what is kept; the server bounds its effect "
        "on the order.",
        ko="시계가 어긋나도 저장된 내용은 그대로예요. 순서에 주는 영향은 서버에서 제한해요.",
    ),
    "file": Words(en="File", ko="파일"),
    "size": Words(en="Size", ko="크기"),
    "table": Words(en="Table", ko="표"),
    "rows": Words(en="Rows", ko="행"),
    "storage_files": Words(en="Files", ko="파일"),
    "storage_largest": Words(en="Largest records", ko="가장 큰 기록"),
    "storage_rows": Words(en="Rows by table", ko="표별 행 수"),
    "acceptance_title": Words(en="Last acceptance run", ko="마지막 인수 시험"),
    "acceptance_scenarios": Words(en="Scenarios", ko="시나리오"),
    "acceptance_at": Words(en="Run at {time}", ko="실행: {time}"),
    "chart_ops": Words(en="Changes and attempts", ko="변경과 시도"),
    "chart_share": Words(en="Failure rate over time", ko="시간별 실패율"),
    "chart_retries": Words(en="Retries per change", ko="변경당 재시도"),
    "chart_end_to_end": Words(en="From writing to receipt", ko="쓴 때부터 영수증까지"),
    "chart_server": Words(en="In the server", ko="서버 처리 시간"),
    "chart_conflicts": Words(en="Conflicts over time", ko="시간별 충돌"),
    "chart_connections": Words(en="Connections over time", ko="시간별 연결"),
    "chart_table": Words(en="The numbers as a table", ko="숫자를 표로 보기"),
    "chart_time": Words(en="From", ko="시작"),
    "chart_failed": Words(
        en="The chart could not be drawn; its numbers are in the table.",
        ko="차트를 그리지 못했어요. 숫자는 표에 있어요.",
    ),
    "chart_line": Words(
        en="{name}: last {last}, lowest {low}, highest {high}.",
        ko="{name}: 마지막 {last}, 최저 {low}, 최고 {high}.",
    ),
    "chart_line_empty": Words(en="{name}: no data.", ko="{name}: 자료 없음."),
}
