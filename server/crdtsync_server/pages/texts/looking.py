"""Words of the views that look things up: records, trace, policy, devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.catalogue.wording import Words

LOOKING: Final[Mapping[str, Words]] = {
    # Records.
    "records_title": Words(en="Records", ko="기록"),
    "records_intro": Words(
        en="Everything that you may read in this space, with its history.",
        ko="이 공간에서 읽을 수 있는 모든 기록과 이력이에요.",
    ),
    "records_no_collection": Words(
        en="There is nothing that your role may read.", ko="지금 역할로 읽을 수 있는 것이 없어요."
    ),
    "collections": Words(en="Kinds of records", ko="기록 종류"),
    "search_records": Words(en="Search records", ko="기록 찾기"),
    "search_value": Words(en="is exactly", ko="정확한 값"),
    "search_clear": Words(en="Show all", ko="모두 보기"),
    "records_which": Words(en="Which", ko="볼 기록"),
    "records_only_all": Words(en="Current records", ko="현재 기록"),
    "records_only_conflicts": Words(en="With an open conflict", ko="미해결 충돌이 있는 기록"),
    "records_only_deleted": Words(en="Deleted records", ko="삭제된 기록"),
    "records_caption": Words(en="Records: {collection}", ko="기록: {collection}"),
    "records_shown": Words(en="{n} {n:record|records} shown.", ko="기록 {n}건을 보여 드려요."),
    "records_none": Words(en="No records yet.", ko="아직 기록이 없어요."),
    "records_none_advice": Words(
        en="They appear here as soon as a device has synced.",
        ko="기기가 동기화하면 바로 여기에 나타나요.",
    ),
    "records_none_here": Words(
        en="This space has records of other kinds.", ko="이 공간에는 다른 종류의 기록이 있어요."
    ),
    "records_none_such": Words(en="No record fits.", ko="맞는 기록이 없어요."),
    "records_none_such_advice": Words(
        en="The search compares the whole value, capital letters included.",
        ko="대소문자까지 값 전체가 같아야 찾을 수 있어요.",
    ),
    "records_none_yet": Words(en="None found so far.", ko="여기까지는 없어요."),
    "records_none_yet_advice": Words(
        en="There are more records to look through: go on with Next.",
        ko="아직 찾아볼 기록이 더 있어요. ‘다음’을 눌러 주세요.",
    ),
    "record_unknown": Words(
        en="The policy has no such kind of record.", ko="규칙에 없는 종류의 기록이에요."
    ),
    "record_id": Words(en="Id {id}", ko="번호 {id}"),
    "changed_by": Words(
        en="last changed by {user}, {time}", ko="마지막으로 바꾼 사람: {user}, {time}"
    ),
    "trace_of_record": Words(en="Trace of this record", ko="이 기록 추적"),
    "record_conflicts": Words(
        en="{n} {n:field waits|fields wait} for somebody to decide.",
        ko="사람이 정해야 하는 항목이 {n}개 있어요.",
    ),
    "record_deleted": Words(
        en="This record is deleted. Its values are kept.", ko="삭제된 기록이에요. 값은 남아 있어요."
    ),
    "record_restore": Words(en="Restore this record", ko="기록 되살리기"),
    "record_restore_words": Words(
        en="It comes back for everybody, with the values that you see.",
        ko="지금 보이는 값 그대로 모두에게 다시 나타나요.",
    ),
    "record_restored": Words(en="The record is back.", ko="기록을 되살렸어요."),
    "choose_between": Words(en="Choose between them", ko="값 고르기"),
    "history": Words(en="History", ko="이력"),
    "history_none": Words(en="Nothing was written here.", ko="아직 쓴 값이 없어요."),
    "history_none_yet": Words(
        en="Nothing in the newest entries; older ones may have more.",
        ko="최근 이력에는 없어요. 더 오래된 이력에 있을 수 있어요.",
    ),
    "history_older": Words(en="Show older entries", ko="더 오래된 이력 보기"),
    "history_cut": Words(
        en="Older entries are no longer kept.", ko="더 오래된 이력은 보관 기간이 지났어요."
    ),
    "history_not_kept": Words(en="The value is no longer kept", ko="값은 보관 기간이 지났어요"),
    "history_removed": Words(en="{n} {n:entry|entries} taken out", ko="뺀 것 {n}개"),
    "restore_value": Words(en="Restore this value", ko="이 값으로 되돌리기"),
    "restore_title": Words(en="Restore “{field}”?", ko="‘{field}’ 항목을 되돌릴까요?"),
    "restore_words": Words(
        en="The value becomes current again, as an ordinary change by you. The value of now stays "
        "in the history.",
        ko="내가 쓴 변경으로 이 값이 다시 들어가요. 지금 값은 이력에 남아요.",
    ),
    "restore_words_set": Words(
        en="These entries are added again; nothing is taken out.",
        ko="이 값들을 다시 더해요. 빠지는 것은 없어요.",
    ),
    "restore_words_manual": Words(
        en="The value becomes current again, as an ordinary change by you. If somebody writes "
        "another one at the same moment, both are kept until a person decides.",
        ko="내가 쓴 변경으로 이 값이 다시 들어가요. 같은 순간에 다른 사람이 다른 값을 쓰면, 사람이 "
        "정할 때까지 둘 다 남아요.",
    ),
    "restored": Words(en="“{field}” is restored.", ko="‘{field}’ 항목을 되돌렸어요."),
    # Trace.
    "trace_title": Words(en="Trace", ko="추적"),
    "trace_intro": Words(
        en="What became of one change: written, sent, received, decided, saved, handed on.",
        ko="변경 하나를 쓰고, 보내고, 받고, 판단하고, 저장하고, 전한 과정을 보여 줘요.",
    ),
    "trace_label": Words(en="Number, person or record", ko="번호, 사람, 기록"),
    "trace_hint": Words(
        en="A request_id, an op_id, a user's name, or a record such as patient/p-17.",
        ko="request_id, op_id, 사용자 이름, 또는 patient/p-17 같은 기록을 적어 주세요.",
    ),
    "trace_start": Words(en="What do you want to follow?", ko="무엇을 따라가 볼까요?"),
    "trace_start_advice": Words(
        en="Error messages show a request_id under Details. Every change has a link “Trace”.",
        ko="오류 안내의 ‘자세히’에 request_id가 있어요. 변경마다 ‘추적’ 링크도 있어요.",
    ),
    "trace_none": Words(en="Nothing is known under this.", ko="찾은 것이 없어요."),
    "trace_none_advice": Words(
        en="Check the spelling and the space. Old traces are no longer kept, and a change that "
        "only waits on a device has not reached the server.",
        ko="철자와 공간을 확인해 주세요. 오래된 추적은 보관 기간이 지났을 수 있어요. "
        "기기에서만 기다리는 변경은 아직 서버에 없어요.",
    ),
    "trace_count": Words(en="{n} {n:change|changes} found.", ko="변경 {n}건을 찾았어요."),
    "trace_found": Words(
        en="{n} {n:change|changes} by {kind}", ko="{kind} 기준으로 찾은 변경 {n}건"
    ),
    "trace_raw": Words(en="Everything, for a helper", ko="도와줄 사람에게 보여 줄 전체 내용"),
    "trace_kind_request": Words(en="request", ko="요청"),
    "trace_kind_op": Words(en="number", ko="변경 번호"),
    "trace_kind_user": Words(en="user", ko="사용자"),
    "trace_kind_record": Words(en="record", ko="기록"),
    "trace_seq": Words(en="place {n} in the log", ko="로그 {n}번"),
    "trace_steps": Words(en="{n} {n:step|steps}", ko="{n}단계"),
    "trace_no_steps": Words(en="No steps are kept of it.", ko="남아 있는 단계가 없어요."),
    "trace_request": Words(en="request {id}", ko="요청 {id}"),
    # Policy.
    "policy_title": Words(en="Policy", ko="규칙"),
    "policy_intro": Words(
        en="What happens when two people change the same thing, field by field, as it is signed.",
        ko="두 사람이 같은 것을 바꾸면 어떻게 되는지, 서명하는 그대로 항목마다 보여 줘요.",
    ),
    "policy_hash": Words(en="Fingerprint of the file:", ko="파일 지문:"),
    "policy_hash_words": Words(
        en="SHA-256 of the policy file. Whoever signs compares it: one changed letter changes it.",
        ko="규칙 파일의 SHA-256이에요. 한 글자만 바뀌어도 달라지니 서명할 때 비교해 주세요.",
    ),
    "policy_caption": Words(en="Rules of {collection}", ko="규칙: {collection}"),
    "policy_file": Words(en="The file itself", ko="파일 원문"),
    # Devices.
    "device_title": Words(en="My device", ko="내 기기"),
    "device_intro": Words(
        en="What devices last told the server: what waits, what failed, and why.",
        ko="기기에서 마지막으로 알린 내용이에요. 기다리는 변경과 실패한 변경, 그 이유를 보여 줘요.",
    ),
    "device_mine": Words(en="Devices of {user}", ko="{user} 님의 기기"),
    "device_all": Words(en="All devices of this space", ko="이 공간의 모든 기기"),
    "device_none": Words(
        en="No device of yours has synced here yet.", ko="아직 동기화한 내 기기가 없어요."
    ),
    "device_none_advice": Words(
        en="Open the app on your device under this name; it appears here when it connects.",
        ko="기기에서 앱을 열고 같은 이름으로 로그인해 주세요. 연결되면 여기에 나타나요.",
    ),
    "device_none_at_all": Words(
        en="No device has synced here yet.", ko="아직 동기화한 기기가 없어요."
    ),
    "device_more": Words(
        en="The {n} devices seen last are shown.", ko="최근에 본 기기 {n}대만 보여 줘요."
    ),
    "device_connected": Words(en="Connected now", ko="지금 연결됨"),
    "device_seen": Words(en="Last seen {time}", ko="마지막 연결: {time}"),
    "device_last_seen": Words(en="Last seen", ko="마지막 연결"),
    "device_user": Words(en="Person", ko="사람"),
    "device_waits": Words(en="Oldest waits for", ko="가장 오래 기다린 시간"),
    "device_has": Words(en="Has received", ko="받은 변경"),
    "device_has_words": Words(en="{cursor} of {head} changes", ko="전체 {head}건 중 {cursor}건"),
    "device_signed_out": Words(en="Waits for sign-in", ko="로그인 대기"),
    "device_why": Words(en="Why changes failed", ko="실패한 이유"),
    "device_reason": Words(en="{n} ×: {reason}", ko="{n}건: {reason}"),
    "device_refused": Words(en="Not accepted ({n})", ko="받지 않은 변경 ({n})"),
    "device_refused_advice": Words(
        en="They wait on the device. There you can edit them, send them again, or discard them.",
        ko="기기에서 기다리고 있어요. 기기에서 고치거나, 다시 보내거나, 취소할 수 있어요.",
    ),
    "device_software": Words(en="Software", ko="소프트웨어"),
    "stand_synced": Words(en="All changes saved to the server", ko="서버에 모두 저장됨"),
    "stand_behind": Words(en="{n} {n:change|changes} still to receive", ko="받을 변경 {n}건"),
    "stand_refused": Words(
        en="{n} {n:change was|changes were} not accepted", ko="서버에서 받지 않은 변경 {n}건"
    ),
    "stand_pending": Words(en="{n} {n:change waits|changes wait} to be sent", ko="전송 대기 {n}건"),
    "stand_failed": Words(
        en="{n} {n:change wasn't|changes weren't} sent", ko="{n}건을 보내지 못함"
    ),
    "stand_signed_out": Words(
        en="Signed out: {n} {n:change waits|changes wait} for sign-in",
        ko="로그아웃됨: 로그인 대기 {n}건",
    ),
}
