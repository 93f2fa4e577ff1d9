"""Words around every view: sign-in, pages, problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.catalogue.wording import Words

FRAME: Final[Mapping[str, Words]] = {
    "product": Words(en="crdtsync", ko="crdtsync"),
    "skip_link": Words(en="Skip to the content", ko="본문으로 건너뛰기"),
    "loading": Words(en="Loading…", ko="불러오는 중…"),
    "needs_script": Words(
        en="These pages need JavaScript. Switch it on in your browser, then load the page again.",
        ko="이 페이지를 보려면 JavaScript가 필요해요. 브라우저에서 켠 뒤 다시 열어 주세요.",
    ),
    "menu": Words(en="Menu", ko="메뉴"),
    "nav_label": Words(en="Pages", ko="페이지"),
    "nav_dashboard": Words(en="Dashboard", ko="현황판"),
    "nav_conflicts": Words(en="Conflicts", ko="충돌함"),
    "nav_records": Words(en="Records", ko="기록"),
    "nav_trace": Words(en="Trace", ko="추적"),
    "nav_policy": Words(en="Policy", ko="규칙"),
    "nav_device": Words(en="My device", ko="내 기기"),
    "nav_open": Words(en="open", ko="건 미해결"),
    "space": Words(en="Space", ko="공간"),
    "all_spaces": Words(en="All spaces", ko="모든 공간"),
    "no_space": Words(en="There is no space to show yet.", ko="아직 볼 수 있는 공간이 없어요."),
    "no_space_advice": Words(
        en="A space appears here when a device has synced with it for the first time. If you "
        "expected one, ask whoever made your token which spaces it opens.",
        ko="기기가 처음 동기화하면 공간이 여기에 나타나요. 있어야 할 공간이 없으면 토큰을 만든 "
        "사람에게 어떤 공간에 들어갈 수 있는지 물어봐 주세요.",
    ),
    "theme": Words(en="Colours", ko="화면 색"),
    "theme_auto": Words(en="Colours: automatic", ko="화면 색: 자동"),
    "theme_light": Words(en="Colours: light", ko="화면 색: 밝게"),
    "theme_dark": Words(en="Colours: dark", ko="화면 색: 어둡게"),
    "dev_server": Words(en="Test server: any name, every role", ko="시험용 서버: 모든 이름·역할"),
    "signed_in_until": Words(en="Signed in until {time}", ko="로그인 유효: {time}까지"),
    # Signing in.
    "sign_in": Words(en="Sign in", ko="로그인"),
    "sign_out": Words(en="Sign out", ko="로그아웃"),
    "sign_in_title": Words(en="Sign in", ko="로그인"),
    "sign_in_intro": Words(
        en="Paste the token that you were given. It stays in this browser tab only, and is "
        "forgotten when you close it.",
        ko="받은 토큰을 붙여 넣어 주세요. 토큰은 이 브라우저 탭에만 있고, 탭을 닫으면 지워져요.",
    ),
    "sign_in_dev_intro": Words(
        en="This server runs for trying things out: say who you are, no password needed.",
        ko="시험용 서버예요. 이름만 적으면 되고 비밀번호는 필요 없어요.",
    ),
    "token_label": Words(en="Token", ko="토큰"),
    "token_hint": Words(
        en="A long line of letters and digits, usually with two dots in it.",
        ko="긴 영문자와 숫자예요. 보통 점이 두 개 들어 있어요.",
    ),
    "token_show": Words(en="Show the token", ko="토큰 보기"),
    "name_label": Words(en="Your name", ko="이름"),
    "name_hint": Words(
        en="In Latin letters, such as kim. To try out roles: kim:nurse,clinician",
        ko="영문으로 적어 주세요. 예: kim. 역할을 정하려면 kim:nurse,clinician",
    ),
    "token_missing": Words(
        en="This is empty. Fill it in first.", ko="비어 있어요. 먼저 적어 주세요."
    ),
    "token_not_ascii": Words(
        en="Only Latin letters, digits and signs without spaces can be used here. Check that you "
        "copied all of it, and nothing else.",
        ko="영문자, 숫자, 기호만 띄어쓰기 없이 쓸 수 있어요. 빠지거나 더해진 글자가 없는지 확인해 "
        "주세요.",
    ),
    "token_refused": Words(
        en="The server did not accept this sign-in: it may have ended, been withdrawn, or not been "
        "copied whole. Ask for a new token.",
        ko="서버에서 이 로그인을 받지 않았어요. 기간이 지났거나, 취소됐거나, 일부만 복사됐을 수 "
        "있어요. 새 토큰을 받아 주세요.",
    ),
    "sign_in_again_title": Words(en="Please sign in again", ko="다시 로그인해 주세요"),
    "sign_in_again_words": Words(
        en="Your sign-in has ended. What you were doing is still here, and goes on when you have "
        "signed in.",
        ko="로그인 기간이 끝났어요. 하던 일은 그대로 있고, 로그인하면 이어서 할 수 있어요.",
    ),
    "signed_out_words": Words(
        en="Your sign-in has ended. Sign in again to go on.",
        ko="로그인 기간이 끝났어요. 다시 로그인하면 이어서 할 수 있어요.",
    ),
    # The server does not answer.
    "trying_in": Words(en="Trying again in {n} s.", ko="{n}초 뒤 다시 시도해요."),
    "trying_now": Words(en="Trying again…", ko="다시 시도하는 중…"),
    "try_now": Words(en="Try now", ko="지금 시도"),
    "trying_again_by_itself": Words(
        en="This page tries again by itself.", ko="이 페이지에서 자동으로 다시 시도해요."
    ),
    "connected_again": Words(en="The server answers again.", ko="서버에 다시 연결됐어요."),
    "try_again": Words(en="Try again", ko="다시 시도"),
    # Problems. What happened; advice_… says what to do.
    "problem_heading": Words(en="This could not be shown", ko="보여 드릴 수 없어요"),
    "problem_page": Words(
        en="This page ran into a fault of its own.", ko="이 페이지에 문제가 생겼어요."
    ),
    "problem_unreachable": Words(en="The server cannot be reached.", ko="서버에 연결할 수 없어요."),
    "problem_other": Words(
        en="The server could not do this.", ko="서버에서 요청을 처리하지 못했어요."
    ),
    "problem_refused": Words(
        en="The server didn't accept this: {reason}.", ko="서버에서 받지 않았어요. 이유: {reason}."
    ),
    "problem_refused_field": Words(
        en='The server didn\'t accept "{field}": {reason}.',
        ko="서버에서 '{field}' 항목을 받지 않았어요. 이유: {reason}.",
    ),
    "problem_400": Words(
        en="The server did not understand this request.", ko="서버에서 요청을 이해하지 못했어요."
    ),
    "problem_403": Words(
        en="Your sign-in does not open this.", ko="지금 로그인으로는 열 수 없어요."
    ),
    "problem_404": Words(en="There is nothing here.", ko="여기에는 아무것도 없어요."),
    "problem_409": Words(
        en="This does not fit what the server has.", ko="서버에 있는 내용과 맞지 않아요."
    ),
    "problem_412": Words(
        en="Somebody changed this record meanwhile. It has been read again; look at it once more.",
        ko="그사이 다른 사람이 이 기록을 바꿨어요. 새로 읽었으니 다시 확인해 주세요.",
    ),
    "problem_413": Words(en="This is too large for the server.", ko="서버에서 받기에는 너무 커요."),
    "problem_422": Words(
        en="The server cannot take it like this.", ko="이대로는 서버에서 받을 수 없어요."
    ),
    "problem_429": Words(
        en="The server gets too many requests at once.", ko="서버에 요청이 한꺼번에 너무 많아요."
    ),
    "problem_500": Words(en="The server had a problem of its own.", ko="서버에 문제가 생겼어요."),
    "problem_503": Words(en="The server cannot do this now.", ko="지금은 서버에서 할 수 없어요."),
    "problem_503_reason": Words(
        en="The server cannot do this now: {reason}.",
        ko="지금은 서버에서 할 수 없어요. 이유: {reason}.",
    ),
    "advice_400": Words(
        en="Go back and try another way. If it stays, show the details to whoever runs the server.",
        ko="돌아가서 다른 방법으로 해 보세요. 계속되면 서버를 운영하는 사람에게 자세한 내용을 보여 "
        "주세요.",
    ),
    "advice_403": Words(
        en="Choose a space that you may enter, or sign in with another token.",
        ko="들어갈 수 있는 공간을 고르거나 다른 토큰으로 로그인해 주세요.",
    ),
    "advice_404": Words(
        en="It may never have been written, or your role may not read it.",
        ko="쓴 적이 없거나, 지금 역할로는 읽을 수 없는 내용일 수 있어요.",
    ),
    "advice_500": Words(
        en="Try again. If it stays, show the details to whoever runs the server.",
        ko="다시 시도해 주세요. 계속되면 서버를 운영하는 사람에게 자세한 내용을 보여 주세요.",
    ),
    "detail_request": Words(en="Request", ko="요청 번호"),
    "detail_code": Words(en="Code", ko="코드"),
    "detail_status": Words(en="Status", ko="상태"),
    "detail_time": Words(en="Time", ko="시각"),
    "detail_server_says": Words(en="In the server's words", ko="서버에서 보낸 설명"),
    "missing_title": Words(en="There is no such page", ko="없는 페이지예요"),
    "missing_words": Words(
        en="The address leads nowhere. Go on from the dashboard:",
        ko="주소에 해당하는 페이지가 없어요. 현황판에서 이어서 봐 주세요.",
    ),
    # Small words that several views share.
    "time_unknown": Words(en="unknown time", ko="알 수 없는 시각"),
    "search": Words(en="Search", ko="찾기"),
    "show_more": Words(en="Show more", ko="더 보기"),
    "and_more": Words(en="and {n} more", ko="그 밖에 {n}개"),
    "go_back": Words(en="Go back", ko="돌아가기"),
    "continue": Words(en="Continue", ko="계속"),
    "saving": Words(en="Saving…", ko="저장하는 중…"),
    "print": Words(en="Print", ko="인쇄"),
    "pages": Words(en="Pages of the list", ko="목록 페이지"),
    "page_before": Words(en="Previous", ko="이전"),
    "page_next": Words(en="Next", ko="다음"),
    "page_number": Words(en="Page {n}", ko="{n}쪽"),
    "see_trace": Words(en="Trace", ko="추적"),
    "field": Words(en="Field", ko="항목"),
    "record": Words(en="Record", ko="기록"),
    "changed": Words(en="Last change", ko="마지막 변경"),
    "deleted": Words(en="deleted", ko="삭제됨"),
    "who_on_device": Words(en="{user}, {device}", ko="{user}, {device}"),
    "device_unknown": Words(en="device without a name", ko="이름 없는 기기"),
    "value_none": Words(en="No value", ko="값 없음"),
    "value_empty_text": Words(en="Empty text", ko="빈 글"),
    "value_empty_list": Words(en="Empty list", ko="빈 목록"),
    "value_yes": Words(en="Yes", ko="예"),
    "value_no": Words(en="No", ko="아니요"),
    # Filling in a value.
    "choose_one": Words(en="Choose…", ko="골라 주세요"),
    # As the signed table says it of a field without limits (a test holds them equal).
    "no_limits": Words(en="none", ko="없음"),
    "edit_missing": Words(en="Fill this in first.", ko="먼저 값을 적어 주세요."),
    "edit_below": Words(en="It has to be at least {min}.", ko="{min} 이상이어야 해요."),
    "edit_above": Words(en="It has to be at most {max}.", ko="{max} 이하여야 해요."),
    "edit_not_integer": Words(
        en="Write a whole number, such as 12.", ko="정수로 적어 주세요. 예: 12"
    ),
    "edit_not_number": Words(en="Write a number, such as 2.5.", ko="숫자로 적어 주세요. 예: 2.5"),
    "edit_not_date": Words(en="Give a date.", ko="날짜를 골라 주세요."),
    "edit_not_json": Words(
        en="This is not valid JSON. Check quotes, commas and brackets.",
        ko="JSON 형식이 아니에요. 따옴표, 쉼표, 괄호를 확인해 주세요.",
    ),
    "edit_tick_hint": Words(
        en="Tick what is right. Nothing is ticked beforehand; a list without any tick is empty.",
        ko="맞는 것을 골라 주세요. 미리 고른 것은 없어요. 하나도 고르지 않으면 빈 목록이 돼요.",
    ),
    "edit_add_element": Words(en="Something else", ko="다른 값 더하기"),
    "edit_add": Words(en="Add", ko="더하기"),
    "edit_added": Words(en="Added: {value}", ko="더했어요: {value}"),
    "edit_not_added": Words(
        en="“{value}” is not added yet. Press Add, or empty the box.",
        ko="아직 더하지 않은 값이 있어요: {value}. ‘더하기’ 단추를 누르거나 칸을 비워 주세요.",
    ),
}
