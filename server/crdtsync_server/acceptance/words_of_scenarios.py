"""What the scenarios did, expected and saw, in words for nurses and product managers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.catalogue.wording import Words

TITLES: Final[Mapping[str, Words]] = {
    "title_offline_then_synced": Words(
        en="Written offline, saved to the server on return",
        ko="오프라인에서 쓰고 연결되면 서버에 저장",
    ),
    "title_cut_during_push": Words(
        en="Connection cut while sending, at every step", ko="보내는 도중 모든 단계에서 연결 끊김"
    ),
    "title_reconnects_by_itself": Words(en="Reconnects by itself", ko="저절로 다시 연결"),
    "title_airplane_mode": Words(
        en="Airplane mode on and off while people type", ko="입력하는 중에 비행기 모드 켜고 끄기"
    ),
    "title_weak_network": Words(en="Weak network", ko="약한 네트워크"),
    "title_rapid_edits": Words(
        en="One item edited again and again, very fast", ko="같은 기록을 아주 빠르게 계속 수정"
    ),
    "title_three_devices_one_item": Words(
        en="The same item on three devices at once", ko="같은 기록을 기기 세 대에서 동시에 수정"
    ),
    "title_week_offline": Words(
        en="A week offline with thousands of changes", ko="일주일 오프라인, 변경 수천 건"
    ),
    "title_duplicate_requests": Words(
        en="The same request arrives more than once", ko="같은 요청이 여러 번 도착"
    ),
    "title_half_open_connection": Words(
        en="A connection that is dead in one direction", ko="한쪽 방향이 끊긴 연결"
    ),
    "title_server_killed": Words(
        en="Server crashes under load, again and again", ko="바쁜 서버가 거듭 갑자기 꺼짐"
    ),
    "title_server_restarted": Words(
        en="Server restarted while a device sends", ko="기기에서 보내는 중에 서버 다시 시작"
    ),
    "title_device_killed": Words(
        en="Device crashes while someone types, again and again",
        ko="입력하는 중에 기기가 거듭 갑자기 꺼짐",
    ),
    "title_old_copy_restored": Words(
        en="A device loses its data and goes on from an old copy",
        ko="기기가 데이터를 잃고 예전 사본으로 이어서 사용",
    ),
    "title_full_disk": Words(en="No space left", ko="저장 공간 부족"),
    "title_conflict_chosen_while_edited": Words(
        en="A conflict is settled while someone else edits",
        ko="다른 사람이 수정하는 동안 충돌 값 고르기",
    ),
    "title_refused_and_way_out": Words(
        en="A change is refused, and the ways out", ko="서버에서 받지 않은 변경과 해결 방법"
    ),
    "title_clock_a_day_wrong": Words(en="A clock that is a day wrong", ko="하루 어긋난 시계"),
    "title_token_renewed": Words(en="Sign-in expires and is renewed", ko="로그인 만료와 갱신"),
}

DID: Final[Mapping[str, Words]] = {
    "did_began": Words(
        en="A server and {n} devices were started and connected.",
        ko="서버와 기기 {n}대를 켜고 연결했어요.",
    ),
    "did_went_offline": Words(
        en="All devices were taken offline.", ko="모든 기기의 네트워크를 끊었어요."
    ),
    "did_wrote": Words(
        en="{n:,} {n:change was|changes were} written on {device}.",
        ko="{device}에서 변경 {n:,}건을 썼어요.",
    ),
    "did_network_back": Words(en="The network came back.", ko="네트워크가 돌아왔어요."),
    "did_gathered": Words(
        en="A new device joined at the end, and everything was counted and compared.",
        ko="마지막에 새 기기를 추가하고, 모든 내용을 세고 비교했어요.",
    ),
    "did_cleaned_up": Words(
        en="{n} {n:record was|records were} deleted again; the server's log of them stays.",
        ko="시험 기록 {n}건을 다시 삭제했어요. 서버의 변경 이력은 남아요.",
    ),
    "did_network_gone_rounds": Words(
        en="{n} {n:time|times} the network went away, people went on writing, and nobody "
        "pressed anything when it came back.",
        ko="네트워크가 {n}번 끊겼다가 돌아왔어요. 그동안 사람들은 계속 썼고, 돌아왔을 때 아무것도 "
        "누르지 않았어요.",
    ),
    "did_airplane": Words(
        en="Airplane mode went on and off {n} times while two people typed.",
        ko="두 사람이 입력하는 동안 비행기 모드를 {n}번 켜고 껐어요.",
    ),
    "did_week_ago": Words(
        en="A tablet whose calendar stands a week back wrote and was connected once.",
        ko="날짜가 일주일 전인 태블릿에서 변경을 쓰고 한 번 연결했어요.",
    ),
    "did_week_of_work": Words(
        en="Then it was offline for seven days of its calendar and {n:,} changes were written "
        "on it.",
        ko="그 뒤 태블릿 날짜로 7일 동안 오프라인에서 변경 {n:,}건을 썼어요.",
    ),
    "did_others_meanwhile": Words(
        en="Today another device changed some of the same items.",
        ko="오늘 다른 기기에서 같은 기록 일부를 바꿨어요.",
    ),
    "did_cuts": Words(
        en="The connection was cut at {n} places of the exchange: before, in the middle of and "
        "after each message.",
        ko="주고받는 과정의 {n}곳에서 연결을 끊었어요. 메시지마다 보내기 전, 보내는 도중, 보낸 "
        "뒤에 끊었어요.",
    ),
    "did_weak": Words(
        en="The network was made slow: {latency_ms} ms delay, {stalls} % of messages stall for a "
        "second, {rate_kb} kB per second.",
        ko="네트워크를 느리게 했어요: 지연 {latency_ms}밀리초, 메시지의 {stalls}%는 1초 멈춤, "
        "초당 {rate_kb}kB.",
    ),
    "did_typed_online": Words(
        en="Two people wrote {n} changes each over this network.",
        ko="이 네트워크에서 두 사람이 변경을 {n}건씩 썼어요.",
    ),
    "did_answers_lost": Words(
        en="{n} times the server took a request but its answer got lost, so the device sent the "
        "same changes again.",
        ko="서버는 요청을 받았지만 그 답이 {n}번 사라져서, 기기에서 같은 변경을 다시 보냈어요.",
    ),
    "did_replayed": Words(
        en="{n} times the network delivered the same request twice.",
        ko="네트워크에서 같은 요청이 두 번 전달되는 일이 {n}번 있었어요.",
    ),
    "did_stranger_twice": Words(
        en="One change was sent four times: twice in one connection, twice in another.",
        ko="변경 하나를 네 번 보냈어요. 한 연결에서 두 번, 다른 연결에서 두 번 보냈어요.",
    ),
    "did_half_open": Words(
        en="Without a word, the tablet's messages stopped arriving at the server, and the "
        "server's at the phone.",
        ko="아무 알림 없이 태블릿의 메시지는 서버에, 서버의 메시지는 휴대폰에 닿지 않게 했어요.",
    ),
    "did_rapid": Words(
        en="{n} edits of one item were made on the tablet without a pause, while a phone "
        "looked on.",
        ko="태블릿에서 기록 하나를 쉬지 않고 {n}번 수정하는 동안 휴대폰에서 지켜봤어요.",
    ),
    "did_three_online": Words(
        en="Three people edited one item at the same time, {n} rounds, all connected.",
        ko="세 사람이 모두 연결된 채로 같은 기록을 동시에 {n}차례 수정했어요.",
    ),
    "did_three_offline": Words(
        en="Then all three were offline, and each wrote another allergy list.",
        ko="그다음 세 사람 모두 오프라인에서 저마다 다른 알레르기 목록을 썼어요.",
    ),
    "did_server_kills": Words(
        en="{n} times the server was killed while two devices were sending, and started again.",
        ko="기기 두 대에서 보내는 중에 서버를 {n}번 강제로 끄고 다시 켰어요.",
    ),
    "did_server_stopped": Words(
        en="The server was told to stop while the tablet was sending, and started again.",
        ko="태블릿에서 보내는 중에 서버에 종료를 요청하고 다시 켰어요.",
    ),
    "did_device_kills": Words(
        en="{n} times the tablet's program was killed while someone typed, and started again.",
        ko="입력하는 중에 태블릿 프로그램을 {n}번 강제로 끄고 다시 켰어요.",
    ),
    "did_copied_with_waiting": Words(
        en="A copy of the tablet's data was made while {n} changes waited on it.",
        ko="변경 {n}건이 전송을 기다릴 때 태블릿 데이터의 사본을 만들었어요.",
    ),
    "did_wrote_after_copy": Words(
        en="Everything was sent, {n} more changes were written and sent too.",
        ko="모두 보낸 뒤, 변경 {n}건을 더 써서 보냈어요.",
    ),
    "did_file_lost": Words(
        en="The tablet's data was lost, and the old copy took its place.",
        ko="태블릿 데이터가 사라져서 예전 사본을 그 자리에 넣었어요.",
    ),
    "did_server_full": Words(
        en="The server's disk was filled to the last byte, and {n} changes were sent to it. Then "
        "there was room again.",
        ko="서버 디스크를 끝까지 채우고 변경 {n}건을 보냈어요. 그 뒤 공간을 비웠어요.",
    ),
    "did_device_full": Words(
        en="The phone's disk was filled, and someone went on writing until it said no. Then there "
        "was room again.",
        ko="휴대폰 디스크를 채우고, 저장할 수 없다고 할 때까지 계속 썼어요. 그 뒤 공간을 비웠어요.",
    ),
    "did_short_sign_ins": Words(
        en="On a server that checks sign-ins, each good for {seconds} seconds, the tablet's user "
        "wrote until {n} {n:sign-in|sign-ins} had ended and been renewed.",
        ko="로그인을 확인하는 서버에서 로그인 한 번을 {seconds}초만 쓸 수 있게 했어요. 로그인이 "
        "{n}번 끝나고 갱신될 때까지 태블릿에서 계속 썼어요.",
    ),
    "did_nobody_signed_in": Words(
        en="Then the tablet's user was signed out and went on writing.",
        ko="그다음 태블릿에서 로그아웃하고 계속 썼어요.",
    ),
    "did_signed_in_again": Words(
        en="The tablet's user signed in again.", ko="태블릿에서 다시 로그인했어요."
    ),
    "did_base_lists": Words(
        en="Two items got an allergy list that everyone had seen.",
        ko="기록 두 건에 알레르기 목록을 썼고, 모든 사람이 그 목록을 봤어요.",
    ),
    "did_two_lists": Words(
        en="Offline, three people wrote different allergy lists.",
        ko="세 사람이 오프라인에서 서로 다른 알레르기 목록을 썼어요.",
    ),
    "did_chosen_by_tablet": Words(
        en="The tablet's user chose a list while the desk computer, still offline, had another "
        "one.",
        ko="데스크톱이 다른 목록을 가진 채 아직 오프라인일 때, 태블릿 사용자가 목록을 골랐어요.",
    ),
    "did_desk_returns": Words(
        en="The desk computer came back with its list.",
        ko="데스크톱이 그 목록을 가지고 다시 연결됐어요.",
    ),
    "did_two_choices": Words(
        en="Two people chose at the same time, each another list.",
        ko="두 사람이 동시에 서로 다른 목록을 골랐어요.",
    ),
    "did_chosen_finally": Words(
        en="One person chose once more. The second item was left for somebody to choose.",
        ko="한 사람이 다시 한번 골랐어요. 두 번째 기록은 누군가 고르도록 남겨 두었어요.",
    ),
    "did_stricter": Words(
        en="While the tablet was offline, the server's rules changed: names have up to {limit} "
        "characters. The tablet wrote longer ones.",
        ko="태블릿이 오프라인일 때 서버 규칙이 바뀌어서 이름은 {limit}자까지만 쓸 수 있게 됐어요. "
        "태블릿에서는 더 긴 이름을 썼어요.",
    ),
    "did_ways_out": Words(
        en="One refused change was edited, one taken back, one sent again.",
        ko="서버에서 받지 않은 변경 중 하나는 고치고, 하나는 취소하고, 하나는 다시 보냈어요.",
    ),
    "did_rules_relaxed": Words(
        en="The rules were relaxed, and the last one was sent again.",
        ko="규칙을 완화하고, 마지막 변경을 다시 보냈어요.",
    ),
    "did_clocks_wrong": Words(
        en="One device's clock stood a day ahead, one a day behind, one was right.",
        ko="기기 시계를 하나는 하루 빠르게, 하나는 하루 느리게, 하나는 맞게 두었어요.",
    ),
    "did_clock_seen_wins": Words(
        en="The device that is a day behind replaced a value that it had seen from the one ahead.",
        ko="하루 느린 기기에서 하루 빠른 기기의 값을 보고 새 값으로 바꿨어요.",
    ),
    "did_clock_bounded": Words(
        en="Two devices with fast clocks wrote the same field; the server believes a clock at most "
        "{bound} s into the future.",
        ko="시계가 빠른 기기 두 대에서 같은 항목을 썼어요. 서버는 미래 시각을 {bound}초까지만 "
        "인정해요.",
    ),
}

CHECKS: Final[Mapping[str, Words]] = {
    "expect_in_step": Words(
        en="Everyone is in step within {limit} s after the network is back.",
        ko="네트워크가 돌아온 뒤 {limit}초 안에 모두 같은 상태가 돼요.",
    ),
    "saw_in_step": Words(
        en="In step after {seconds} s.", ko="같은 상태가 되기까지 {seconds}초 걸렸어요."
    ),
    "expect_not_in_step": Words(
        en="Everyone is in step within {limit} s after the network is back.",
        ko="네트워크가 돌아온 뒤 {limit}초 안에 모두 같은 상태가 돼요.",
    ),
    "saw_not_in_step": Words(
        en="They were not. Details: {why}", ko="같은 상태가 되지 않았어요. 자세히: {why}"
    ),
    "expect_in_step_all_along": Words(
        en="Everyone is in step at the end.", ko="끝에는 모두 같은 상태예요."
    ),
    "saw_in_step_all_along": Words(en="Everyone was in step.", ko="모두 같은 상태였어요."),
    "expect_all_kept": Words(
        en="All {n:,} changes stand in the server's log exactly once, and nothing else does.",
        ko="변경 {n:,}건이 모두 서버 기록에 정확히 한 번씩 있고, 다른 것은 없어요.",
    ),
    "saw_all_kept": Words(
        en="{found:,} of {n:,} are there; lost: {lost}, doubled: {doubled}, from nowhere: "
        "{invented}. "
        "{ops}",
        ko="{n:,}건 중 {found:,}건이 있어요. 유실 {lost}건, 중복 {doubled}건, 출처 없음 "
        "{invented}건. {ops}",
    ),
    "expect_log_sound": Words(
        en="The server's log has no gap, and nobody has altered it.",
        ko="서버 기록에 빠진 곳이 없고, 누가 바꾼 곳도 없어요.",
    ),
    "saw_log_sound": Words(
        en="{n} entries, {flaws} {flaws:flaw|flaws}.", ko="서버 기록 {n}줄, 이상 {flaws}건이에요."
    ),
    "expect_none_waiting": Words(
        en="Nothing waits on any device any more.", ko="어느 기기에도 기다리는 변경이 없어요."
    ),
    "saw_none_waiting": Words(
        en="{waiting} {waiting:change waits|changes wait}.", ko="기다리는 변경: {waiting}건."
    ),
    "expect_alike": Words(
        en="Every device shows the same, a new one too.",
        ko="새 기기까지 모든 기기에 같은 내용이 보여요.",
    ),
    "saw_alike": Words(
        en="{same} of {n} devices showed the same.",
        ko="기기 {n}대 중 {same}대의 내용이 같았어요.",
    ),
    "expect_values": Words(
        en="Every value is the one that the rules promise.",
        ko="모든 값이 규칙에서 약속한 값이에요.",
    ),
    "saw_values": Words(
        en="{wrong} {wrong:value is|values are} wrong. {examples}",
        ko="잘못된 값: {wrong}건. {examples}",
    ),
    "expect_candidates": Words(
        en="{fields} {fields:field waits|fields wait} for a person to choose, with all {n} values "
        "side by side.",
        ko="사람이 고르기를 기다리는 항목이 {fields}개이고, 값 {n}개가 모두 나란히 보여요.",
    ),
    "saw_candidates": Words(
        en="{right} of {fields} were so on every device.",
        ko="{fields}개 중 {right}개가 모든 기기에 그렇게 보였어요.",
    ),
    "expect_cleaned_up": Words(
        en="Nothing of the test is shown on the server any more.",
        ko="서버에 시험 기록이 더 이상 보이지 않아요.",
    ),
    "saw_cleaned_up": Words(en="Left over: {left}", ko="남은 기록: {left}건."),
    "expect_no_faults": Words(
        en="No program notes a fault of its own in its log.",
        ko="어떤 프로그램의 로그에도 내부 오류가 없어요.",
    ),
    "saw_no_faults": Words(en="{n} {n:fault|faults}. {faults}", ko="내부 오류: {n}건. {faults}"),
    "expect_carried_out": Words(
        en="The scenario can be played to its end.", ko="시나리오를 끝까지 진행할 수 있어요."
    ),
    "saw_carried_out": Words(en="It stopped: {error}", ko="도중에 멈췄어요. 자세히: {error}"),
    "expect_says_waiting": Words(
        en="{device} keeps all {n} changes and says that they are not on the server yet.",
        ko="{device}에 변경 {n}건이 모두 있고, 아직 서버에 없다고 화면에서 알려 줘요.",
    ),
    "saw_says_waiting": Words(en="It said: {message}", ko="화면: {message}"),
    "expect_by_itself": Words(
        en="The devices connect again by themselves, at least {n} times.",
        ko="기기가 저절로 {n}번 이상 다시 연결돼요.",
    ),
    "saw_by_itself": Words(en="{made} connections were made.", ko="연결 횟수: {made}번."),
    "expect_airplane": Words(
        en="The devices reconnect each time while the network goes on and off {n} times.",
        ko="네트워크를 {n}번 켜고 끄는 동안 기기가 매번 다시 연결돼요.",
    ),
    "saw_airplane": Words(
        en="{made} connections came about before the next cut.",
        ko="다음에 끊기기 전에 이루어진 연결: {made}번.",
    ),
    "expect_cuts": Words(
        en="The connection really was cut at {n} places.", ko="연결이 실제로 {n}곳에서 끊겨요."
    ),
    "saw_cuts": Words(
        en="It was cut at {done} of {n} places.", ko="{n}곳 중 {done}곳에서 끊겼어요."
    ),
    "expect_weak": Words(
        en="Slow is not broken: no connection is given up.",
        ko="느린 것은 끊긴 것이 아니어서 연결을 포기하지 않아요.",
    ),
    "saw_weak": Words(
        en="New connections that were needed: {made}.", ko="새로 필요했던 연결: {made}번."
    ),
    "expect_repeats": Words(
        en="{n} requests really arrive a second time.", ko="요청 {n}건이 실제로 두 번 도착해요."
    ),
    "saw_repeats": Words(en="{done} of {n} did.", ko="{n}건 중 {done}건이 두 번 도착했어요."),
    "expect_same_receipt": Words(
        en="All four answers to one change are the same receipt.",
        ko="변경 하나에 받은 답 네 번이 모두 같은 영수증이에요.",
    ),
    "saw_same_receipt": Words(
        en="{same} of 4 answers were the same receipt.",
        ko="답 네 번 중 {same}번이 같은 영수증이었어요.",
    ),
    "expect_server_starts": Words(
        en="The server starts again after each of {n} crashes.",
        ko="서버가 {n}번 갑자기 꺼질 때마다 다시 시작돼요.",
    ),
    "saw_server_starts": Words(
        en="It started again {made} {made:time|times}.",
        ko="다시 시작한 횟수: {made}번.",
    ),
    "expect_stopped_in_order": Words(
        en="The server ends in order when told to stop (code 0).",
        ko="종료를 요청하면 서버가 정상적으로 종료돼요(코드 0).",
    ),
    "saw_stopped_in_order": Words(en="It ended with code {code}.", ko="종료 코드: {code}."),
    "expect_device_starts": Words(
        en="In each of {n} crashes at most the change being saved at that moment is unsure.",
        ko="{n}번 꺼질 때마다, 그 순간 저장하던 변경 하나까지만 저장 여부가 불확실해요.",
    ),
    "saw_device_starts": Words(
        en="{unsure} {unsure:change was|changes were} unsure.", ko="불확실한 변경: {unsure}건."
    ),
    "expect_copy_waits": Words(
        en="The old copy still holds the {n} changes that waited when it was made.",
        ko="예전 사본에는 사본을 만들 때 기다리던 변경 {n}건이 그대로 있어요.",
    ),
    "saw_copy_waits": Words(en="{waiting} changes waited in it.", ko="기다리던 변경: {waiting}건."),
    "expect_server_says_full": Words(
        en="The device says that the server has no space left, and keeps the changes.",
        ko="서버의 저장 공간이 부족하다고 기기에서 알려 주고, 변경은 기기에 그대로 있어요.",
    ),
    "saw_server_says_full": Words(
        en="{n} changes were kept for later. It said: {message}",
        ko="나중에 보내려고 보관한 변경 {n}건. 화면: {message}",
    ),
    "expect_device_says_full": Words(
        en="A device without space says so and does not pretend to have saved.",
        ko="공간이 없는 기기는 저장한 척하지 않고 공간이 부족하다고 알려 줘요.",
    ),
    "saw_device_says_full": Words(en="Its answer: {error}", ko="기기의 답: {error}"),
    "expect_side_by_side": Words(
        en="All {n} lists stand side by side on {devices} devices, none is chosen by a machine.",
        ko="목록 {n}개가 모두 기기 {devices}대에 나란히 보이고, 기계가 고르지 않아요.",
    ),
    "saw_side_by_side": Words(
        en="{seen} of {devices} devices showed exactly these.",
        ko="기기 {devices}대 중 {seen}대에 정확히 그렇게 보였어요.",
    ),
    "expect_refused_told": Words(
        en="{n} changes are refused, and their author is told why.",
        ko="변경 {n}건을 서버에서 받지 않고, 쓴 사람에게 이유를 알려 줘요.",
    ),
    "saw_refused_told": Words(
        en="{seen} were refused: {message}. The device said: {status}",
        ko="서버에서 받지 않은 변경 {seen}건. 이유: {message}. 화면: {status}",
    ),
    "expect_others_pass": Words(
        en="A refused change holds back its own item only.",
        ko="서버에서 받지 않은 변경은 같은 기록의 변경만 기다리게 해요.",
    ),
    "saw_others_pass": Words(
        en="On the phone the other item reads “{other}”, the refused one still “{held}”.",
        ko="휴대폰 화면: 다른 기록은 “{other}”, 받지 않은 변경이 있는 기록은 그대로 “{held}”.",
    ),
    "expect_refused_again": Words(
        en="Sent again under the same rules, it is refused again and waits visibly.",
        ko="같은 규칙에서 다시 보내면 서버에서 이번에도 받지 않고, 변경은 보이는 곳에서 기다려요.",
    ),
    "saw_refused_again": Words(
        en="Changes that waited for a person: {waiting}.",
        ko="사람의 확인을 기다린 변경: {waiting}건.",
    ),
    "expect_renewed": Words(
        en="The tablet asks for a new sign-in by itself each time one ends, and its user "
        "notices nothing.",
        ko="로그인이 끝날 때마다 태블릿에서 스스로 새 로그인을 요청하고, 사용자는 신경 쓸 일이 "
        "없어요.",
    ),
    "saw_renewed": Words(
        en="It asked {renewed} {renewed:time|times}; it stopped for its user {stopped} "
        "{stopped:time|times}.",
        ko="새 로그인 요청 {renewed}번, 사용자를 기다리며 멈춘 것 {stopped}번.",
    ),
    "expect_queue_kept": Words(
        en="While nobody is signed in, all {n} changes stay on the tablet, and it says so.",
        ko="로그아웃한 동안 쓴 변경 {n}건은 모두 태블릿에 남고, 화면에서 그렇게 알려 줘요.",
    ),
    "saw_queue_kept": Words(
        en="{waiting} changes waited. The device said: {status}",
        ko="기다린 변경 {waiting}건. 화면: {status}",
    ),
    "expect_clock_told": Words(
        en="{device} warns its user that the clock is a day off.",
        ko="시계가 하루 어긋났다고 {device} 화면에서 사용자에게 알려 줘요.",
    ),
    "saw_clock_told": Words(en="It said: {message}", ko="화면: {message}"),
    "expect_time_bounded": Words(
        en="No change counts as later than {bound} s after it arrived.",
        ko="어떤 변경도 도착하고 {bound}초 넘게 지난 뒤에 쓴 것으로 보지 않아요.",
    ),
    "saw_time_bounded": Words(en="The furthest was {most} s.", ko="가장 먼 미래: {most}초."),
}
