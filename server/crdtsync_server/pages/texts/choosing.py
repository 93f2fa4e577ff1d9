"""Words of the conflict inbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.catalogue.wording import Words

CHOOSING: Final[Mapping[str, Words]] = {
    "conflicts_title": Words(en="Conflict inbox", ko="충돌함"),
    "conflicts_intro": Words(
        en="Fields where people wrote different values without having seen each other's. Nothing "
        "is lost; a person decides which is right.",
        ko="서로의 값을 보지 못하고 다르게 쓴 항목이에요. 사라진 값은 없고, 어느 값이 맞는지는 "
        "사람이 정해요.",
    ),
    "conflicts_none": Words(en="Nothing to decide.", ko="정할 것이 없어요."),
    "conflicts_none_advice": Words(
        en="When two people write different values for the same field, both appear here.",
        ko="두 사람이 같은 항목에 서로 다른 값을 쓰면 모두 여기에 나타나요.",
    ),
    "conflicts_none_such": Words(en="There is none of this kind.", ko="해당하는 것이 없어요."),
    "conflicts_count": Words(
        en="{n}{more} {n:field waits|fields wait} for a decision",
        ko="결정을 기다리는 항목 {n}{more}개",
    ),
    "conflicts_count_all": Words(en="{n}{more} {n:field|fields}", ko="항목 {n}{more}개"),
    "conflicts_now": Words(
        en="{n} {n:field waits|fields wait} for a decision now.",
        ko="이제 결정을 기다리는 항목은 {n}개예요.",
    ),
    "all_fields": Words(en="All fields", ko="모든 항목"),
    "conflict_status": Words(en="Status", ko="상태"),
    "conflict_status_open": Words(en="Open", ko="미해결"),
    "conflict_status_resolved": Words(en="Decided", ko="결정됨"),
    "conflict_status_agreed": Words(en="Became equal", ko="같아짐"),
    "conflict_status_all": Words(en="All", ko="전체"),
    "conflict_values": Words(en="{n} values", ko="값 {n}개"),
    "conflict_opened": Words(en="open since {time}", ko="{time}부터 미해결"),
    "conflict_settled": Words(en="settled {time}", ko="{time}에 정리됨"),
    "conflict_by": Words(en="written by {people}", ko="쓴 사람: {people}"),
    "conflict_reopened": Words(
        en="opened again by a late write ({n} {n:time|times})",
        ko="늦게 온 값 때문에 다시 열림 {n}회",
    ),
    "conflict_title": Words(
        en="Different values for “{field}”", ko="‘{field}’ 항목의 서로 다른 값"
    ),
    "conflict_unknown": Words(
        en="The policy has no such field, or your role may not read it.",
        ko="규칙에 없는 항목이거나, 지금 역할로는 읽을 수 없는 항목이에요.",
    ),
    "conflict_of_record": Words(en="Record: {record}", ko="기록: {record}"),
    "conflict_deleted_record": Words(
        en="This record is deleted. A choice brings it back.",
        ko="삭제된 기록이에요. 값을 정하면 기록이 되살아나요.",
    ),
    "conflict_choose": Words(
        en="{n} values. Which is right?", ko="값이 {n}개예요. 어느 값이 맞나요?"
    ),
    "conflict_until": Words(
        en="Until somebody decides, all values are shown.",
        ko="누군가 정할 때까지 모든 값을 보여 줘요.",
    ),
    "conflict_until_list": Words(
        en="Until somebody decides, treat everything that stands in any of the values as present.",
        ko="누군가 정할 때까지는 어느 한 값에라도 있는 것은 모두 있다고 봐 주세요.",
    ),
    "conflict_may_not": Words(
        en="Your role may read this field, but not decide. Ask somebody who may write it.",
        ko="지금 역할로는 볼 수만 있고 정할 수는 없어요. 쓸 수 있는 사람에게 부탁해 주세요.",
    ),
    "candidate_title": Words(en="Value {n}: by {user}", ko="값 {n}: {user} 님"),
    "candidate_new": Words(en="New: it has just arrived", ko="새로 도착한 값"),
    "choose_this": Words(en="Choose this value", ko="이 값으로 정하기"),
    "choose_this_label": Words(
        en="Choose value {n} by {user}: {value}", ko="{user} 님의 값 {n} 고르기: {value}"
    ),
    "written_and_received": Words(
        en="Written {written}; reached the server {received}",
        ko="쓴 시각: {written}, 서버에 도착한 시각: {received}",
    ),
    "other_choices": Words(en="None of them alone?", ko="하나만으로는 안 되나요?"),
    "keep_all_hint": Words(
        en="Keep all puts everything that stands in any of the values into one list.",
        ko="‘모두 남기기’는 어느 값에든 있는 것을 모두 한 목록에 담아요.",
    ),
    # Comparing.
    "sum_same_both": Words(
        en="{n} {n:entry stands|entries stand} in both.", ko="둘 다에 있는 것 {n}개."
    ),
    "sum_same_all": Words(
        en="{n} {n:entry stands|entries stand} in all values.", ko="모든 값에 있는 것 {n}개."
    ),
    "sum_similar": Words(en="{n} {n:is|are} similar to another one.", ko="비슷하게 적힌 것 {n}개."),
    "sum_only": Words(en="{n} {n:differs|differ}.", ko="서로 다른 것 {n}개."),
    "sum_reordered": Words(
        en="The entries are the same, in another order.", ko="내용은 같고 순서만 달라요."
    ),
    "sum_marked": Words(
        en="What stands in one value only is marked.", ko="한쪽에만 있는 말에 표시했어요."
    ),
    "sum_nothing_shared": Words(
        en="The values have no word in common.", ko="두 값에 같은 말이 하나도 없어요."
    ),
    "sum_apart": Words(
        en="The lowest and the highest value are {n} apart.", ko="가장 작은 값과 큰 값의 차이: {n}"
    ),
    "sum_days_apart": Words(en="The dates are {n} {n:day|days} apart.", ko="날짜 차이: {n}일"),
    "group_same_both": Words(en="In both", ko="둘 다에 있음"),
    "group_same_all": Words(en="In all values", ko="모든 값에 있음"),
    "group_similar": Words(en="Similar", ko="비슷함"),
    "group_only_here": Words(en="Only here", ko="여기에만 있음"),
    "group_not_all": Words(en="Not in all values", ko="일부 값에만 있음"),
    "group_count": Words(en="{title} ({n})", ko="{title} ({n})"),
    "group_none": Words(en="Nothing", ko="없음"),
    "mark_only_here": Words(en="only here", ko="여기에만 있음"),
    "mark_in_some": Words(en="in {n} of {all} values", ko="값 {all}개 중 {n}개에 있음"),
    "mark_similar": Words(
        en="similar to “{value}” in another value", ko="다른 값의 ‘{value}’ 항목과 비슷함"
    ),
    "words_only_here": Words(en="Only here: {words}", ko="여기에만 있는 말: {words}"),
    "words_all_shared": Words(
        en="Every word of it stands in the other values too.",
        ko="모든 말이 다른 값에도 있어요.",
    ),
    "rank_number_lowest_pair": Words(en="Lower by {n}", ko="{n}만큼 작음"),
    "rank_number_highest_pair": Words(en="Higher by {n}", ko="{n}만큼 큼"),
    "rank_number_lowest": Words(en="The lowest, {n} below the highest", ko="가장 작음"),
    "rank_number_highest": Words(
        en="The highest, {n} above the lowest", ko="가장 큼. 가장 작은 값과의 차이: {n}"
    ),
    "rank_number_between": Words(en="In between", ko="중간"),
    "rank_date_lowest_pair": Words(en="The earlier one", ko="더 이른 날짜"),
    "rank_date_highest_pair": Words(en="Later by {n} {n:day|days}", ko="{n}일 늦은 날짜"),
    "rank_date_lowest": Words(en="The earliest", ko="가장 이른 날짜"),
    "rank_date_highest": Words(
        en="The latest, {n} {n:day|days} after the earliest",
        ko="가장 늦은 날짜. 가장 이른 날짜와의 차이: {n}일",
    ),
    "rank_date_between": Words(en="In between", ko="중간"),
    # Deciding.
    "confirm_title": Words(en="Set “{field}” to this?", ko="‘{field}’ 항목을 이렇게 정할까요?"),
    "confirm_words": Words(
        en="“{field}” of {record} will be:", ko="{record} 기록의 ‘{field}’ 항목은 이렇게 돼요."
    ),
    "confirm_replaces": Words(
        en="It takes the place of the {n} values that you saw. They stay in the history, with "
        "your name beside the choice.",
        ko="지금 본 값 {n}개 대신 이 값이 들어가요. 이전 값은 이력에 남고, 정한 사람으로 내 이름이 "
        "함께 남아요.",
    ),
    "confirm_save": Words(en="Save", ko="저장"),
    "choice_not_sent": Words(
        en="It is not certain that the server has it. Save again: the same choice counts once.",
        ko="서버에서 받았는지 아직 알 수 없어요. 다시 저장해도 한 번만 반영돼요.",
    ),
    "chosen": Words(
        en="You chose “{value}”. It is saved.", ko="‘{value}’ 값으로 정했어요. 저장했어요."
    ),
    "chosen_but_open": Words(
        en="Your choice “{value}” is saved, but another value arrived at the same moment. Please "
        "look at the values again.",
        ko="고른 값 ‘{value}’ 저장은 끝났지만, 같은 순간에 다른 값이 도착했어요. 값을 다시 확인해 "
        "주세요.",
    ),
    "saved_at": Words(en="Saved to the server at {time}.", ko="서버에 저장한 시각: {time}."),
    "show_values_again": Words(en="Show the values as they are now", ko="지금 값 보기"),
    "conflict_gone": Words(
        en="There is one value now; nothing is left to decide.",
        ko="지금은 값이 하나라서 정할 것이 없어요.",
    ),
    "conflict_settled_now": Words(en="This is decided.", ko="이미 정해졌어요."),
    "chosen_by_other": Words(
        en="{name} chose “{value}” at {time}.",
        ko="{name} 님이 {time}에 ‘{value}’ 값으로 정했어요.",
    ),
    "value_now": Words(en="The value now:", ko="지금 값:"),
    "chosen_by": Words(en="Decided by {user}, {time}", ko="정한 사람: {user}, {time}"),
    "next_conflict": Words(en="Next", ko="다음"),
    "no_more_conflicts": Words(
        en="Nothing else waits for a decision. Back to the inbox",
        ko="더 정할 것이 없어요. 충돌함으로 돌아가기",
    ),
    "conflict_history": Words(en="What happened", ko="지나온 과정"),
    "event_opened": Words(
        en="{user} wrote another value: {n} values stand side by side.",
        ko="{user} 님이 다른 값을 썼어요. 나란히 있는 값 {n}개",
    ),
    "event_changed": Words(
        en="{user} changed the values: {n} stand side by side.",
        ko="{user} 님이 값을 바꿨어요. 나란히 있는 값 {n}개",
    ),
    "event_reopened": Words(
        en="A value by {user} arrived late and opened it again: {n} values.",
        ko="{user} 님의 값이 늦게 도착해서 다시 열렸어요. 값 {n}개",
    ),
    "event_resolved": Words(en="{user} decided.", ko="{user} 님이 정했어요."),
    "event_agreed": Words(
        en="With the value of {user} all values became equal.",
        ko="{user} 님의 값으로 모든 값이 같아졌어요.",
    ),
}
