"""What the demo says, in English and Korean. Values are always filled in from the devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.catalogue.wording import Words, fill

TEXTS: Final[Mapping[str, Words]] = {
    "keep_not_empty": Words(
        en="{folder} is not an empty folder. Name one that is empty or not there yet.",
        ko="빈 폴더가 아니에요: {folder}. 비어 있거나 아직 없는 폴더를 적어 주세요.",
    ),
    "tablet": Words(en="Tablet ({user})", ko="태블릿({user})"),
    "phone": Words(en="Phone ({user})", ko="휴대폰({user})"),
    "intro_title": Words(en="Two devices and a server", ko="기기 두 대와 서버 한 대"),
    "intro": Words(
        en="A real server at {url}. Two devices hold the space {space}, each in a file of its own. "
        "Everything below is read from them.",
        ko="실제 서버 주소는 {url}. 기기 두 대에 {space} 공간이 각각 파일로 있어요. "
        "아래 내용은 모두 여기서 읽은 값이에요.",
    ),
    "start_alike": Words(
        en="Both devices are in step with the server:", ko="두 기기 모두 서버와 같은 상태예요:"
    ),
    "offline_title": Words(en="1. The network is gone", ko="1. 네트워크가 끊겼어요"),
    "offline": Words(
        en="Both people go on working. Each change is on the device's disk before the program "
        "goes on.",
        ko="두 사람은 계속 일해요. 변경은 쓰는 즉시 기기에 저장돼요.",
    ),
    "apart": Words(en="Now the devices differ:", ko="이제 두 기기의 내용이 달라요:"),
    "says": Words(en='{device} says: "{message}"', ko="{device} 화면: “{message}”"),
    "reconnect_title": Words(en="2. The network is back", ko="2. 네트워크가 돌아왔어요"),
    "reconnect": Words(
        en="Nobody presses anything: the devices connect by themselves and send what waits. "
        "The states that each change went through, as they were seen:",
        ko="아무것도 누르지 않아도 기기에서 알아서 연결하고 기다리던 변경을 보내요. "
        "변경마다 거친 상태예요:",
    ),
    "states": Words(en="States", ko="거친 상태"),
    "device": Words(en="Device", ko="기기"),
    "plain_title": Words(
        en="3. A plain field settles by itself", ko="3. 일반 항목은 저절로 정해져요"
    ),
    "plain": Words(
        en='Both wrote "{field}". The rule: {rule}',
        ko="두 사람이 모두 '{field}' 항목을 썼어요. 규칙: {rule}",
    ),
    "plain_result": Words(
        en="Both devices now show {value}. What became of each value, from the server's history:",
        ko="이제 두 기기에 같은 값이 보여요: {value}. 서버 이력에서 본 값마다의 결과예요:",
    ),
    "counter": Words(
        en='"{field}" adds up: one more on each device gives {value} on both.',
        ko="'{field}' 항목은 더해요. 기기마다 하나씩 더해서 두 기기 모두: {value}",
    ),
    "conflict_title": Words(
        en="4. An allergy list is never settled by a machine",
        ko="4. 알레르기 목록은 기계가 정하지 않아요",
    ),
    "conflict": Words(en="The rule: {rule}", ko="규칙: {rule}"),
    "union": Words(
        en="Until someone chooses, every allergy counts as present: {values}",
        ko="고르기 전까지는 모든 알레르기가 있는 것으로 봐요: {values}",
    ),
    "choice_title": Words(en="5. A person chooses", ko="5. 사람이 골라요"),
    "chose_all": Words(en="{user} keeps all: {value}", ko="{user} 님이 모두 남겼어요: {value}"),
    "chose": Words(en="{user} chose: {value}", ko="{user} 님이 고른 값: {value}"),
    "not_chosen": Words(
        en="Nothing was chosen, so both devices still show every value.",
        ko="고르지 않아서 두 기기 모두 모든 값을 그대로 보여 줘요.",
    ),
    "alike": Words(en="Both devices:", ko="두 기기의 내용:"),
    "history_of_choice": Words(
        en="The values that were not chosen stay in the history:",
        ko="고르지 않은 값도 이력에 남아 있어요:",
    ),
    "twice_title": Words(
        en="6. A request that is sent twice counts once", ko="6. 같은 요청을 두 번 보내도 한 번만"
    ),
    "twice": Words(
        en='The tablet adds one more to "{field}". The request is sent twice, byte for byte, and '
        "the tablet sees neither answer: it still has the change in its queue when it reconnects.",
        ko="태블릿에서 '{field}' 항목에 1을 더해요. 같은 요청을 그대로 두 번 보내지만 태블릿은 "
        "답을 받지 못해요. 다시 연결할 때 그 변경은 아직 태블릿의 보낼 목록에 있어요.",
    ),
    "op_number": Words(en="Number of the change", ko="변경 번호"),
    "first_receipt": Words(en="First receipt", ko="첫 번째 영수증"),
    "second_receipt": Words(en="Second receipt", ko="두 번째 영수증"),
    "receipt": Words(
        en="place {seq} in the log, received {time}", ko="기록 순번 {seq}, 받은 시각 {time}"
    ),
    "on_tablet": Words(en="On the tablet", ko="태블릿에서"),
    "log_rows": Words(en="Rows in the server's log", ko="서버 기록에 있는 줄 수"),
    "count_before": Words(en="{field}, before", ko="{field}, 전"),
    "count_after": Words(en="{field}, after, on both devices", ko="{field}, 후(두 기기 모두)"),
    "check_title": Words(en="Checked", ko="확인"),
    "claim_all_in_log": Words(
        en="All {n} changes are in the server's log, each exactly once",
        ko="변경 {n}건이 모두 서버 기록에 정확히 한 번씩 있어요",
    ),
    "claim_queues_empty": Words(
        en="Nothing waits on either device any more", ko="두 기기 모두 기다리는 변경이 없어요"
    ),
    "claim_alike": Words(en="Both devices show the same record", ko="두 기기의 기록이 같아요"),
    "claim_states": Words(
        en="Every change was seen waiting and sending before it was saved to the server",
        ko="변경마다 전송 대기와 보내는 중을 거쳐 서버에 저장됐어요",
    ),
    "claim_plain": Words(
        en="The phone number written last stands; the other is in the history, with the reason",
        ko="나중에 쓴 전화번호가 남고, 다른 번호는 이유와 함께 이력에 있어요",
    ),
    "claim_both_values": Words(
        en="Both allergy lists were kept until the choice, on both devices",
        ko="고를 때까지 두 기기 모두 두 알레르기 목록이 그대로 있었어요",
    ),
    "claim_choice": Words(
        en="The choice stands on both devices", ko="고른 값이 두 기기에 모두 있어요"
    ),
    "claim_open": Words(
        en="The conflict is still open on both devices, with every value",
        ko="두 기기 모두 모든 값이 있는 채로 아직 고르지 않은 상태예요",
    ),
    "claim_same_receipt": Words(
        en="Both answers to the repeated request are the same receipt",
        ko="되풀이한 요청의 두 답이 같은 영수증이에요",
    ),
    "claim_counted_once": Words(
        en="The repeated request counted once: {before} + 1 = {after}",
        ko="되풀이한 요청은 한 번만 더했어요: {before} + 1 = {after}",
    ),
    "all_hold": Words(en="All {n} claims hold.", ko="{n}가지를 모두 확인했어요."),
    "some_fail": Words(
        en="{n} of the claims {n:does|do} NOT hold. This is a fault of crdtsync; please report it.",
        ko="{n}가지가 맞지 않아요. crdtsync 오류이니 알려 주세요.",
    ),
    "kept_in": Words(
        en="The files are in {folder}. Look into a device with: crdtsync records patient --replica "
        "{folder}/tablet.db",
        ko="파일 위치: {folder}. 기기 내용 보기: crdtsync records patient --replica "
        "{folder}/tablet.db",
    ),
}


def tell(key: str, lang: str, **params: object) -> str:
    """The text ``key`` in ``lang``."""
    return fill(TEXTS[key].in_lang(lang), params)
