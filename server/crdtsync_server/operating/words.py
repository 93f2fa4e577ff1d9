"""What backup, restore and verify tell, in English and Korean."""

from __future__ import annotations

from typing import Final, Literal

Lang = Literal["en", "ko"]

# Of each kind of finding: what it means for the people whose data this is.
KINDS: Final[dict[str, tuple[str, str]]] = {
    "damaged_file": ("pages of the file are damaged", "파일의 일부 페이지가 손상됐어요"),
    "wrong_structure": (
        "tables are not as crdtsync makes them",
        "테이블 구조가 crdtsync에서 만든 것과 달라요",
    ),
    "log_gap": ("entries of the log are missing", "로그에 빠진 항목이 있어요"),
    "unreadable_entry": ("entries of the log cannot be read", "로그에 읽을 수 없는 항목이 있어요"),
    "changed_entry": (
        "entries of the log were changed after they were accepted",
        "로그에 접수된 뒤 바뀐 항목이 있어요",
    ),
    "broken_chain": (
        "the log's chain of digests is broken",
        "로그의 다이제스트 연결이 끊겼어요",
    ),
    "wrong_time": ("the log's times run backwards", "로그의 시각이 거꾸로 가요"),
    "wrong_head": ("a space's head is not the end of its log", "공간의 끝 위치가 로그와 달라요"),
    "receipt_missing": ("receipts are missing", "빠진 접수증이 있어요"),
    "receipt_wrong": ("receipts lead to the wrong entry", "다른 항목을 가리키는 접수증이 있어요"),
    "receipt_without_entry": (
        "receipts have no entry in the log",
        "로그에 항목이 없는 접수증이 있어요",
    ),
    "record_missing": ("records are missing", "빠진 기록이 있어요"),
    "record_behind": ("records lack their newest changes", "최근 변경이 빠진 기록이 있어요"),
    "record_differs": ("records are not what their log says", "로그와 내용이 다른 기록이 있어요"),
    "unreadable_record": ("records cannot be read", "읽을 수 없는 기록이 있어요"),
    "wrong_position": (
        "records stand at the wrong place of the log",
        "로그에서 위치가 잘못된 기록이 있어요",
    ),
    "broken_link": ("the history of records is cut", "이력이 끊긴 기록이 있어요"),
    "entry_unlinked": (
        "entries of the log belong to no record's history",
        "어느 기록의 이력에도 없는 로그 항목이 있어요",
    ),
    "document_differs": (
        "records cannot be made into documents that agree with them",
        "문서로 만들면 내용이 달라지는 기록이 있어요",
    ),
    "conflict_missing": (
        "conflicts are not written down",
        "목록에 없는 충돌이 있어요",
    ),
    "conflict_wrong": (
        "conflicts are not as the records show them",
        "기록과 다른 충돌이 있어요",
    ),
    "kept_value_wrong": ("old values are kept wrongly", "잘못 보관된 이전 값이 있어요"),
    "grave_wrong": (
        "marks of replaced values are wrong",
        "바뀐 값의 표시가 잘못된 것이 있어요",
    ),
    "device_missing": ("devices are missing", "목록에 없는 기기가 있어요"),
    "wrong_policy": ("a stored policy is damaged", "저장된 정책이 손상됐어요"),
}

_TEXTS: Final[dict[str, tuple[str, str]]] = {
    "sound": (
        "{path} is sound. Spaces: {spaces}; changes: {entries}; records: {records}.",
        "{path} 파일에 문제가 없어요. 공간 {spaces}개, 변경 {entries}건, 기록 {records}개.",
    ),
    "unsound": (
        "{path} has damage. Findings: {count}.",
        "{path} 파일에 문제가 있어요. 모두 {count}건이에요.",
    ),
    "and_more": ("… and {count} more of this kind", "… 같은 종류가 {count}건 더 있어요"),
    "what_to_do": (
        "What to do: leave this file as it is, take the newest backup that crdtsync verify finds "
        "sound, and restore it into an empty folder (crdtsync restore). Devices then offer again "
        "what they hold and the backup lacks.",
        "이렇게 해 주세요: 이 파일은 그대로 두고, crdtsync verify 결과에 문제가 없는 가장 최근 "
        "백업을 빈 폴더에 복원해 주세요(crdtsync restore). 그러면 백업에 없고 기기에 남아 있는 "
        "변경은 기기에서 다시 보내요.",
    ),
    "head": ("space {space}: up to change {seq}", "공간 {space}: 변경 {seq}번까지"),
    "no_spaces": ("There is no space in it yet.", "아직 공간이 없어요."),
    "backed_up": (
        "Backup written and checked: {path}, {size}; records: {records}.",
        "백업을 저장하고 확인했어요: {path}, {size}, 기록 {records}개.",
    ),
    "backup_holds": (
        "It holds the policies, and no tokens, secrets or settings: keep those apart.",
        "정책은 들어 있고 토큰, 비밀 값, 설정은 없어요. 따로 보관해 주세요.",
    ),
    "restored": (
        "Restored and checked: {path}; records: {records}.",
        "복원하고 확인했어요: {path}, 기록 {records}개.",
    ),
    "what_devices_do": (
        "What devices will do when the server starts on it: they notice that it is older than "
        "what they have seen, keep their own unsent changes, and offer again the changes of the "
        "last 30 days that they made and the backup lacks. Each counts once. What no device holds "
        "any more is gone; every device says which records that concerns.",
        "서버를 시작하면 기기에서는 이렇게 해요: 서버 내용이 예전 것임을 알아차리고, 아직 보내지 "
        "않은 변경은 그대로 두며, 최근 30일 동안 그 기기에서 만든 변경 중 백업에 없는 것을 다시 "
        "보내요. 같은 변경은 한 번만 반영돼요. 어느 기기에도 없는 변경은 되살릴 수 없고, 어떤 "
        "기록인지 기기에서 알려 드려요.",
    ),
    "start_with": (
        "Start it with policy version {version} or a newer one.",
        "정책 버전 {version} 이상으로 시작해 주세요.",
    ),
    "stopped": (
        "Stopped. Nothing was changed.",
        "중지했어요. 바뀐 것은 없어요.",
    ),
}

STEPS: Final[dict[str, tuple[str, str]]] = {
    "copy": ("copying", "복사하는 중"),
    "pages": ("checking the file's pages", "파일 페이지를 확인하는 중"),
    "log": ("checking the log and its receipts", "로그와 접수증을 확인하는 중"),
    "receipts": ("checking receipts without entries", "항목 없는 접수증을 확인하는 중"),
    "records": ("checking records and documents", "기록과 문서를 확인하는 중"),
    "conflicts": ("checking conflicts", "충돌을 확인하는 중"),
    "kept values": ("checking kept values", "보관된 값을 확인하는 중"),
    "graves": ("checking marks of replaced values", "바뀐 값의 표시를 확인하는 중"),
    "devices": ("checking devices", "기기를 확인하는 중"),
}


def say(key: str, lang: Lang, **values: object) -> str:
    """A sentence with its values."""
    return _TEXTS[key][lang == "ko"].format(**values)


def kind_words(kind: str, lang: Lang) -> str:
    """What a kind of finding means."""
    return KINDS[kind][lang == "ko"]


def step_words(name: str, lang: Lang) -> str:
    """What is being done."""
    return STEPS[name][lang == "ko"]
