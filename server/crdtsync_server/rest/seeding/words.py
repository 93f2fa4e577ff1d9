"""What ``crdtsync seed`` says, in English and Korean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.catalogue.wording import Words, fill

TEXTS: Final[Mapping[str, Words]] = {
    "one_source": Words(
        en="Name one source: a .csv or .jsonl file, or --from-sqlite FILE with --table or --query.",
        ko="자료를 하나만 적어 주세요: .csv나 .jsonl 파일, 또는 --from-sqlite FILE 옵션과 "
        "--table 또는 --query.",
    ),
    "one_query": Words(
        en="Say what to read from the database: --table NAME, or --query SQL (one of them).",
        ko="데이터베이스에서 읽을 내용을 적어 주세요: --table NAME 또는 --query SQL 중 하나.",
    ),
    "no_token": Words(
        en="Say who you are: --token-file FILE, or the token in CRDTSYNC_TOKEN. (With a server "
        "that runs with --dev any name is a token.)",
        ko="로그인 정보를 적어 주세요: --token-file FILE 옵션이나 환경 변수 CRDTSYNC_TOKEN. "
        "(--dev 서버에서는 아무 이름이나 토큰이 돼요.)",
    ),
    "bad_server": Words(
        en="{url} is not the address of a server; write it like http://127.0.0.1:8000",
        ko="서버 주소가 아니에요: {url}. http://127.0.0.1:8000 형식으로 써 주세요.",
    ),
    "bad_token": Words(
        en="The token has characters that no HTTP header may hold; copy it anew, as one line.",
        ko="토큰에 쓸 수 없는 글자가 있어요. 한 줄로 다시 복사해 주세요.",
    ),
    "bad_database": Words(
        en="{file} cannot be read as a SQLite database: {reason}",
        ko="SQLite 데이터베이스로 읽을 수 없어요: {file} ({reason})",
    ),
    "bad_query": Words(
        en="The database does not understand what to read: {reason}",
        ko="데이터베이스에서 읽을 수 없는 질의예요: {reason}",
    ),
    "blob": Words(
        en="the column {column} holds bytes, which no field takes",
        ko="바이트가 들어 있어서 넣을 수 없는 열이에요: {column}",
    ),
    "not_text": Words(
        en="the column {column} holds text that is no UTF-8",
        ko="UTF-8로 읽을 수 없는 글자가 들어 있는 열이에요: {column}",
    ),
    "no_collection": Words(
        en="The server's policy has no collection {name}. It knows: {known}",
        ko="서버 정책에 없는 컬렉션이에요: {name}. 있는 컬렉션: {known}",
    ),
    "not_readable": Words(
        en="You may not read this collection, so it cannot be seeded as you: {name}",
        ko="볼 수 없는 컬렉션이라 채울 수 없어요: {name}",
    ),
    "no_server": Words(
        en="There is no server at {url} ({reason}). Check the address, and that it runs.",
        ko="서버에 연결할 수 없어요: {url} ({reason}). 주소와 서버 상태를 확인해 주세요.",
    ),
    "waiting": Words(
        en="The server does not answer now ({reason}). Trying again…",
        ko="지금은 서버가 응답하지 않아요({reason}). 다시 시도하고 있어요…",
    ),
    "no_answer": Words(
        en="The server does not answer ({reason}). What it has taken stays; run the same command "
        "again to go on. Nothing is doubled.",
        ko="서버가 응답하지 않아요({reason}). 이미 받은 내용은 남아 있어요. 같은 명령을 다시 "
        "실행하면 이어서 진행하고, 두 번 반영되지 않아요.",
    ),
    "refused": Words(
        en="The server did not accept it: {reason}",
        ko="서버에서 받지 않았어요: {reason}",
    ),
    "seeding": Words(en="Seeding", ko="채우는 중"),
    "stopped": Words(
        en="Stopped. The server has {n} rows; run the same command again to go on.",
        ko="멈췄어요. 서버에 {n}건이 있어요. 같은 명령을 다시 실행하면 이어서 진행해요.",
    ),
    "done": Words(
        en="{new} {new:row|rows} written, {again} had been written before.",
        ko="새로 쓴 기록 {new}건, 전에 쓴 기록 {again}건이에요.",
    ),
    "left_alone": Words(
        en="{n} of them {n:was|were} changed on the server since, and left as {n:it is|they are}.",
        ko="그중 {n}건은 그 뒤에 서버에서 바뀌어서 그대로 두었어요.",
    ),
    "counters_left": Words(
        en="{n} {n:counter|counters} had been seeded with another number or by another person, and "
        "left as {n:it is|they are}: a counter is seeded once.",
        ko="카운터 {n}개는 다른 숫자로, 또는 다른 사람이 이미 채워서 그대로 두었어요. "
        "카운터는 한 번만 채워요.",
    ),
    "bad_rows": Words(
        en="{n} {n:row was|rows were} not written; the reasons are above.",
        ko="{n}건을 쓰지 못했어요. 이유는 위에 있어요.",
    ),
    "row": Words(en="Row {n}", ko="{n}번째 줄"),
    "more_bad": Words(en="… and {n} more.", ko="… 그 밖에 {n}건."),
    "left_out": Words(
        en="No field takes these columns, so they were left out: {names}",
        ko="넣을 항목이 없어서 건너뛴 열: {names}",
    ),
}


def tell(key: str, lang: str, **params: object) -> str:
    """The text ``key`` in ``lang``."""
    return fill(TEXTS[key].in_lang(lang), params)
