"""What ``crdtsync trace`` says besides the steps themselves, in English and Korean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.catalogue.wording import Words, fill

TEXTS: Final[Mapping[str, Words]] = {
    "one_source": Words(
        en="say where to look, and just one place: --server URL, --data DIR or --replica FILE",
        ko="찾을 곳을 하나만 정해 주세요: --server URL, --data DIR, --replica FILE",
    ),
    "server_missing": Words(
        en="this command needs more packages: pip install 'crdtsync[server]'",
        ko="이 명령에는 패키지가 더 필요해요: pip install 'crdtsync[server]'",
    ),
    "not_a_trace": Words(
        en="what answers at {url} is no crdtsync server of this version",
        ko="이 버전의 crdtsync 서버가 아니에요: {url}",
    ),
    "no_database": Words(
        en="there is no server's database in {path}; name the folder that `crdtsync serve --data` "
        "was given",
        ko="서버 데이터베이스가 없어요: {path}. `crdtsync serve --data` 폴더를 알려 주세요",
    ),
    "no_op_here": Words(
        en="this device's file knows no change whose number begins with {op_id}. It finds a change "
        "by its number only (crdtsync history --json names it), and keeps it until it is accepted, "
        "and for 30 days more",
        ko="번호가 {op_id}(으)로 시작하는 변경은 이 기기의 파일에 없어요. 기기 파일에서는 "
        "변경 번호로만 찾을 수 있어요(crdtsync history --json에 나와요). 변경은 서버에서 "
        "받을 때까지, 그리고 그 뒤 30일 동안만 남아 있어요",
    ),
    "several_ops": Words(
        en="several changes begin with {op_id}; give more of the number",
        ko="같은 앞자리로 시작하는 변경이 여러 건이에요: {op_id}. 번호를 더 적어 주세요",
    ),
    "heading": Words(en="{record}, written by {user}", ko="{record}, 쓴 사람: {user}"),
    "device": Words(en="Device: {device}", ko="기기: {device}"),
    "fields": Words(en="Fields: {fields}", ko="항목: {fields}"),
    "status": Words(en="Now: {status}", ko="지금: {status}"),
    "details": Words(en="Details", ko="자세히"),
    "space": Words(en="space {space}", ko="공간 {space}"),
}


def say(key: str, lang: str, **params: object) -> str:
    """A text in the reader's language."""
    return fill(TEXTS[key].in_lang(lang), params)
