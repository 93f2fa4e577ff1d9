"""What commands tell people, in English and Korean (what the library tells is in the catalogue)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.catalogue.wording import CatalogueError, Words, fill, placeholders
from crdtsync.cli.texts_of_files import FILE_TEXTS

_TEXTS: Final[Mapping[str, Words]] = {
    # How a command ends.
    "stopped_nothing_lost": Words(
        en="Stopped. Nothing is lost: what was saved stays on this device.",
        ko="멈췄어요. 잃은 것은 없어요. 저장한 내용은 이 기기에 그대로 있어요.",
    ),
    "saved_here": Words(
        en="Saved on this device. `crdtsync sync URL` sends it.",
        ko="이 기기에 저장했어요. `crdtsync sync URL` 명령으로 보낼 수 있어요.",
    ),
    "nothing_changed": Words(en="Nothing was changed.", ko="아무것도 바꾸지 않았어요."),
    "server_missing": Words(
        en="this command needs more packages. Install them: pip install 'crdtsync[server]'",
        ko="이 명령에는 패키지가 더 필요해요. 이렇게 설치해 주세요: pip install 'crdtsync[server]'",
    ),
    "failed_in_use": Words(
        en="The file is open elsewhere.",
        ko="다른 프로그램에서 이 파일을 쓰고 있어요. 그 프로그램을 닫은 뒤 다시 시도해 주세요.",
    ),
    "failed_not_a_replica": Words(
        en="The file is not this replica.",
        ko="여기에 쓸 수 있는 기기 파일이 아니에요. 파일 이름을 확인해 주세요.",
    ),
    "failed_storage": Words(
        en="The file cannot be used.",
        ko="파일을 읽거나 쓸 수 없어요. 경로와 권한을 확인해 주세요.",
    ),
    "failed_time_over": Words(
        en="The time was over.",
        ko="시간 안에 마치지 못했어요. 변경 내용은 이 기기에 그대로 있으니 다시 시도해 주세요.",
    ),
    "failed_needs_attention": Words(
        en="Some changes wait for a person.",
        ko="보내지 못한 변경이 있어요. `crdtsync outbox` 명령으로 확인해 주세요.",
    ),
    "failed_signed_out": Words(
        en="The sign-in is not accepted.",
        ko="로그인 정보를 확인할 수 없어요. 변경 내용은 이 기기에 그대로 있어요.",
    ),
    "failed_network": Words(
        en="The server cannot be reached.",
        ko="서버에 연결할 수 없어요. 주소와 네트워크를 확인해 주세요.",
    ),
    "failed_conflict_changed": Words(
        en="Another value arrived.",
        ko="그사이 다른 값이 도착했어요. 모든 값을 다시 확인하고 골라 주세요.",
    ),
    "failed_unresolved": Words(
        en="A field has different values, and someone has to choose first: `crdtsync conflicts` "
        "shows them, `crdtsync resolve` chooses.",
        ko="서로 다른 값이 있는 항목이에요. `crdtsync conflicts` 명령으로 보고 `crdtsync resolve` "
        "명령으로 먼저 골라 주세요.",
    ),
    "failed_deleted": Words(
        en="The record is deleted.",
        ko="삭제한 기록이에요. `crdtsync undelete` 명령으로 되돌린 뒤 다시 시도해 주세요.",
    ),
    "failed_exists": Words(en="The record is there already.", ko="같은 번호의 기록이 이미 있어요."),
    "failed_not_permitted": Words(
        en="The role does not allow it.", ko="지금 역할로는 바꿀 수 없어요."
    ),
    "failed_no_record": Words(
        en="There is no such record.", ko="이 기기에 없는 기록이에요. 번호를 확인해 주세요."
    ),
    "failed_no_op": Words(
        en="There is no such change.", ko="보낼 목록에 없는 변경이에요. 번호를 확인해 주세요."
    ),
    "failed_unknown_collection": Words(
        en="There is no such collection.", ko="정책에 없는 기록 종류예요. 이름을 확인해 주세요."
    ),
    "failed_unknown_field": Words(
        en="There is no such field.", ko="정책에 없는 항목이에요. 이름을 확인해 주세요."
    ),
    "failed_request": Words(
        en="This cannot be done.", ko="요청한 대로 할 수 없어요. 아래 내용을 확인해 주세요."
    ),
    "no_space": Words(
        en="no space left for {file}; free up space and retry",
        ko="저장 공간이 부족해요: {file}. 공간을 비운 뒤 다시 시도해 주세요",
    ),
    # The replica file.
    "no_replica": Words(
        en="There is no replica at {file}. Check the name, or make one: add --space NAME and "
        "--policy FILE to `set`, `import` or `sync`.",
        ko="여기에는 기기 파일이 없어요: {file}. 이름을 확인하거나, `set`, `import`, `sync` "
        "명령에 --space NAME --policy FILE 옵션을 더해서 새로 만들어 주세요.",
    ),
    "replica_is_folder": Words(
        en="{file} is a folder. Name the replica file inside of it.",
        ko="폴더예요: {file}. 그 안의 기기 파일을 적어 주세요.",
    ),
    # Values and fields.
    "yes": Words(en="yes", ko="예"),
    "no": Words(en="no", ko="아니요"),
    "nothing": Words(en="(none)", ko="(없음)"),
    "cleared": Words(en="(cleared)", ko="(지움)"),
    "several_values": Words(en="⚠ {n} values: {values}", ko="⚠ 값 {n}개: {values}"),
    "bad_value": Words(en='"{field}": {reason}', ko="'{field}' 항목: {reason}"),
    "no_such_field": Words(
        en='{collection} has no field "{field}". The fields are: {known}.',
        ko="{collection} 기록에 '{field}' 항목은 없어요. 쓸 수 있는 항목: {known}",
    ),
    "not_an_assignment": Words(
        en='"{text}" is not FIELD=VALUE. Write it like phone=010-1234-5678.',
        ko="FIELD=VALUE 형식이 아니에요: {text}. phone=010-1234-5678처럼 써 주세요.",
    ),
    "field_twice": Words(
        en='"{field}" is given twice. Give it once.',
        ko="'{field}' 항목을 두 번 적었어요. 한 번만 적어 주세요.",
    ),
    "counter_assigned": Words(
        en='"{field}" is a counter. Write {field}+=1 to add to it, {field}-=1 to take away.',
        ko="'{field}' 항목은 더하고 빼는 값이에요. {field}+=1 또는 {field}-=1처럼 써 주세요.",
    ),
    "no_steps": Words(
        en='"{field}" takes no += or -=; only counters and sets that merge by element do. '
        "Write the whole value with =.",
        ko="'{field}' 항목에는 += 또는 -= 쓸 수 없어요. = 기호로 값 전체를 써 주세요.",
    ),
    "one_step": Words(
        en="A += or -= is a change of its own. Give nothing else beside it, and run the command "
        "once for each.",
        ko="+= 또는 -= 기호는 한 번에 하나만 쓸 수 있어요. 명령을 나눠서 실행해 주세요.",
    ),
    "nothing_to_set": Words(
        en="There is nothing to write. Give FIELD=VALUE or --clear FIELD.",
        ko="쓸 내용이 없어요. FIELD=VALUE 또는 --clear FIELD 형식으로 적어 주세요.",
    ),
    "set_in_conflict": Words(
        en='"{field}" has different values, and someone has to choose first:\n  {command}',
        ko="'{field}' 항목에 서로 다른 값이 있어요. 먼저 골라 주세요:\n  {command}",
    ),
    # Records.
    "no_records": Words(en="There are no records yet.", ko="아직 기록이 없어요."),
    "no_records_match": Words(en="No record matches.", ko="맞는 기록이 없어요."),
    "records_shown": Words(
        en="{n} of {total} records shown; --limit shows more.",
        ko="전체 {total}건 중 {n}건을 보여 줘요. --limit 옵션으로 더 볼 수 있어요.",
    ),
    "hidden_field": Words(
        en="(your role may not see this)", ko="(이 역할로는 볼 수 없는 항목이에요)"
    ),
    "no_record": Words(
        en="There is no {collection} {id} on this device. Check the id, or sync first.",
        ko="이 기기에 없는 기록이에요: {collection} {id}. 번호를 확인하거나 먼저 동기화해 주세요.",
    ),
    "record_deleted": Words(
        en="{collection} {id} is deleted. `crdtsync undelete {collection} {id}` brings it back.",
        ko="삭제한 기록이에요: {collection} {id}. "
        "`crdtsync undelete {collection} {id}` 명령으로 되돌릴 수 있어요.",
    ),
    "not_deleted": Words(
        en="{collection} {id} is not deleted; there is nothing to restore.",
        ko="삭제한 기록이 아니라서 되돌릴 것이 없어요: {collection} {id}",
    ),
    "deleted": Words(
        en="{collection} {id} is deleted on this device; its history stays.",
        ko="이 기기에서 삭제했어요: {collection} {id}. 이력은 남아 있어요.",
    ),
    "record_footer": Words(
        en="{state} · last changed by {user}, {time}",
        ko="{state} · 마지막으로 바꾼 사람 {user}, {time}",
    ),
    "record_version": Words(en="Version: {version}", ko="버전: {version}"),
    # Conflicts.
    "conflict_hint": Words(
        en='"{field}" has {n} different values. Choose which is correct:',
        ko="'{field}' 항목에 서로 다른 값이 {n}개 있어요. 맞는 값을 골라 주세요:",
    ),
    "conflict_of_many": Words(
        en='{n} different values for "{field}". Choose which is correct.',
        ko="'{field}' 항목에 서로 다른 값이 {n}개 있어요. 맞는 값을 골라 주세요.",
    ),
    "conflicts_wait": Words(
        en="{n} {n:record has|records have} a field with several values. Someone has to choose: "
        "`crdtsync conflicts`",
        ko="서로 다른 값이 있는 기록이 {n}건 있어요. 맞는 값을 골라 주세요: `crdtsync conflicts`",
    ),
    "no_conflicts": Words(
        en="No field has several values. Nothing to choose.",
        ko="서로 다른 값이 있는 항목이 없어요. 고를 것이 없어요.",
    ),
    "in_all": Words(en="In all of them: {values}", ko="모두에 있음: {values}"),
    "only_here": Words(en="Only here: {values}", ko="여기에만 있음: {values}"),
    "missing_here": Words(en="Missing here: {values}", ko="여기에는 없음: {values}"),
    "not_sent_yet": Words(en="not sent yet", ko="아직 보내지 않음"),
    "choose": Words(
        en="Which is correct? A number from 1 to {n}, v for another value, q to leave everything "
        "as it is.",
        ko="어느 값이 맞나요? 1부터 {n}까지의 번호, 다른 값을 쓰려면 v, 그대로 두려면 q",
    ),
    "choose_with_all": Words(
        en="Which is correct? A number from 1 to {n}, a to keep all, v for another value, q to "
        "leave everything as it is.",
        ko="어느 값이 맞나요? 1부터 {n}까지의 번호, 모두 남기려면 a, 다른 값을 쓰려면 v, "
        "그대로 두려면 q",
    ),
    "not_a_choice": Words(en="That is none of the choices.", ko="고를 수 있는 답이 아니에요."),
    "type_value": Words(
        en='The right value for "{field}" (nothing to go back):',
        ko="'{field}' 항목의 맞는 값을 써 주세요(돌아가려면 그냥 Enter):",
    ),
    "type_elements": Words(
        en='The right value for "{field}", with ; between the parts (nothing to go back):',
        ko="'{field}' 항목의 맞는 값을 ; 기호로 나눠 써 주세요(돌아가려면 그냥 Enter):",
    ),
    "confirm_choice": Words(
        en='Set "{field}" to "{value}"? This replaces the {n} values above; they stay in the '
        "history. (y/n)",
        ko="'{field}' 항목을 다음 값으로 정할까요? {value}\n"
        "위의 값 {n}개를 대신하고, 그 값들은 이력에 남아요. (y/n)",
    ),
    "yes_or_no": Words(en="Please answer y or n.", ko="y 또는 n으로 답해 주세요."),
    "resolve_how": Words(
        en="Say how to resolve it: a VALUE, --choose, --keep-all or --clear (one of them).",
        ko="정하는 방법을 하나만 골라 주세요: VALUE, --choose, --keep-all, --clear",
    ),
    "no_keep_all": Words(
        en='"{field}" holds one value, so not all of them can be kept. Choose with --choose.',
        ko="'{field}' 항목에는 값을 하나만 넣을 수 있어요. --choose 옵션으로 골라 주세요.",
    ),
    "not_in_conflict": Words(
        en='"{field}" has one value ({value}); there is nothing to choose. Change it with `set`.',
        ko="'{field}' 항목의 값은 하나뿐이에요({value}). 바꾸려면 `set` 명령을 써 주세요.",
    ),
    "changed_since_seen": Words(
        en="{collection} {id} has changed since the version that you saw. Look at all values "
        "again.",
        ko="보신 뒤에 {collection} {id} 기록이 바뀌었어요. 모든 값을 다시 확인해 주세요.",
    ),
    "resolved": Words(en='"{field}" is now: {value}', ko="'{field}' 항목을 정했어요: {value}"),
    # Status, the queue, sync.
    "never_synced": Words(
        en="Nothing waits to be sent. This device has not synced yet.",
        ko="보낼 변경이 없어요. 이 기기는 아직 동기화한 적이 없어요.",
    ),
    "needs_a_person": Words(en="of those, need a person", ko="그중 사람이 확인할 것"),
    "records_in_conflict": Words(en="Records with several values", ko="서로 다른 값이 있는 기록"),
    "oldest_change": Words(
        en="Oldest change that waits: {time}", ko="가장 오래 기다린 변경: {time}"
    ),
    "last_in_step": Words(en="Last in step with the server: {time}", ko="마지막 동기화: {time}"),
    "about_replica": Words(
        en="Space {space}, rules version {version}", ko="공간 {space}, 규칙 버전 {version}"
    ),
    "notice_server_restored": Words(
        en="The server was restored from a backup. This device sends its own changes again. "
        "({detail})",
        ko="서버를 백업에서 되돌렸어요. 이 기기의 변경은 다시 보내요. ({detail})",
    ),
    "notice_records_lost": Words(
        en="The restored server no longer has some records. Copies are kept on this device. "
        "({detail})",
        ko="되돌린 서버에 없는 기록이 있어요. 사본은 이 기기에 있어요. ({detail})",
    ),
    "notice_too_late_to_discard": Words(
        en="It was too late to take a change back: the server had it already. ({detail})",
        ko="서버에서 이미 받은 변경이라 취소하지 못했어요. ({detail})",
    ),
    "notice_brought_back": Words(
        en="A record was deleted while somebody edited it. It was kept. {detail}",
        ko="누군가 수정하는 동안 삭제된 기록이지만 남겨 두었어요. {detail}",
    ),
    "notice_other": Words(en="{detail}", ko="{detail}"),
    "outbox_empty": Words(
        en="Nothing waits: the server has everything that was written here.",
        ko="기다리는 변경이 없어요. 여기에서 쓴 내용은 모두 서버에 있어요.",
    ),
    "outbox_exported": Words(
        en="{n} {n:change|changes} written to {file}", ko="변경 {n}건을 파일로 저장했어요: {file}"
    ),
    "outbox_cure": Words(
        en="Changes that were not accepted wait for you: `crdtsync retry`, `edit` or `discard`, "
        "with the number.",
        ko="서버에서 받지 않은 변경이 있어요. 번호와 함께 `crdtsync retry`, `edit`, `discard` "
        "명령을 써 주세요.",
    ),
    "item_refused": Words(en="not accepted: {reason}", ko="서버에서 받지 않음: {reason}"),
    "item_retrying": Words(en="tried again at {time}", ko="{time}에 다시 시도해요"),
    "item_held": Words(en="waits for change {op_id}", ko="먼저 보낼 변경: {op_id}"),
    "change_delete": Words(en="delete the record", ko="기록 삭제"),
    "change_restore": Words(en="restore the record", ko="기록 되돌리기"),
    "change_removed": Words(en="−{n} {n:element|elements}", ko="−{n}개"),
    "no_such_op": Words(
        en="No waiting change has a number that begins with {op_id}. `crdtsync outbox` lists them.",
        ko="이 번호로 시작하는 변경이 없어요: {op_id}. `crdtsync outbox` 명령으로 확인해 주세요.",
    ),
    "several_ops": Words(
        en="{n} changes have a number that begins with {op_id}. Give more of it.",
        ko="이 번호로 시작하는 변경이 {n}건 있어요: {op_id}. 번호를 더 길게 적어 주세요.",
    ),
    "not_failed": Words(
        en="Change {op_id} has not failed; it is sent with the next sync.",
        ko="실패한 변경이 아니에요: {op_id}. 다음 동기화 때 보내요.",
    ),
    "retried": Words(
        en="{n} {n:change is|changes are} in the queue again.", ko="변경 {n}건을 다시 보낼게요."
    ),
    "edited": Words(
        en="The change is corrected and keeps its place in the queue.",
        ko="변경을 고쳤어요. 보내는 순서는 그대로예요.",
    ),
    "waits_for_server": Words(
        en="The server may have this change already. It waits until the next sync has asked.",
        ko="서버에서 이미 받았을 수 있어요. 다음 동기화 때 확인할 때까지 기다려요.",
    ),
    "discard_question": Words(
        en="Take back this change of {record}: {change}? It is gone from this device then.",
        ko="이 변경을 취소할까요? {record}: {change}. 취소하면 이 기기에서 사라져요.",
    ),
    "discarded": Words(en="The change is taken back.", ko="변경을 취소했어요."),
    "sync_time_over": Words(
        en="Not in step with {url} after {seconds} s: {why}. Nothing is lost: {n} "
        "{n:change waits|changes wait} on this device. Check the address and the network, then "
        "run the command again.",
        ko="{seconds}초 안에 동기화를 마치지 못했어요: {url} ({why}). 변경 {n}건은 이 기기에 "
        "그대로 있어요. 주소와 네트워크를 확인한 뒤 다시 실행해 주세요.",
    ),
    "nothing_failed": Words(
        en="No change has failed; there is nothing to retry.",
        ko="실패한 변경이 없어서 다시 보낼 것이 없어요.",
    ),
    "json_or_watch": Words(
        en="--json gives one document at the end, and --watch has no end. Use one of them.",
        ko="--json 옵션과 --watch 옵션은 함께 쓸 수 없어요.",
    ),
    # History.
    "no_history": Words(
        en="This device knows of no value of this field.",
        ko="이 기기에서 아는 값이 없어요.",
    ),
    "history_incomplete": Words(
        en="This is what this device knows; the server may know older values.",
        ko="이 기기에서 아는 이력이에요. 서버에 더 오래된 값이 있을 수 있어요.",
    ),
    # Headings.
    "heading_field": Words(en="Field", ko="항목"),
    "heading_value": Words(en="Value", ko="값"),
    "heading_sync": Words(en="Sync", ko="동기화"),
    "heading_what": Words(en="Changes", ko="변경"),
    "heading_how_many": Words(en="How many", ko="건수"),
    "heading_number": Words(en="Number", ko="번호"),
    "heading_record": Words(en="Record", ko="기록"),
    "heading_change": Words(en="Change", ko="변경 내용"),
    "heading_by": Words(en="By", ko="쓴 사람"),
    "heading_written": Words(en="Written", ko="쓴 시각"),
    "heading_state": Words(en="State", ko="상태"),
    "heading_became": Words(en="What became of it", ko="결과"),
    "heading_name": Words(en="Name", ko="이름"),
    "heading_meaning": Words(en="Meaning", ko="뜻"),
}

TEXTS: Final[Mapping[str, Words]] = {**_TEXTS, **FILE_TEXTS}


def say(key: str, lang: str, **params: object) -> str:
    """The text ``key`` in ``lang``; raises CatalogueError for a mistake of the program."""
    words = TEXTS.get(key)
    if words is None:
        raise CatalogueError(f"There is no text {key!r} in crdtsync.cli.")
    missing = placeholders(words.en) - params.keys()
    if missing:
        raise CatalogueError(f"The text {key!r} lacks {', '.join(sorted(missing))}.")
    return fill(words.in_lang(lang), params)
