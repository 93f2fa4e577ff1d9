"""What ``import``, ``export`` and ``policy`` tell people, in English and Korean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.catalogue.wording import Words

FILE_TEXTS: Final[Mapping[str, Words]] = {
    # A file as a whole.
    "no_file": Words(
        en="There is no file {file}. Check its name and folder.",
        ko="파일이 없어요: {file}. 이름과 폴더를 확인해 주세요.",
    ),
    "file_is_folder": Words(
        en="{file} is a folder. Name a file inside of it.",
        ko="폴더예요: {file}. 그 안의 파일을 적어 주세요.",
    ),
    "file_unreadable": Words(
        en="{file} cannot be read: {why}. Check who may read it.",
        ko="파일을 읽을 수 없어요: {file} ({why}). 권한을 확인해 주세요.",
    ),
    "file_unwritable": Words(
        en="{file} cannot be written: {why}. Check who may write there.",
        ko="파일을 쓸 수 없어요: {file} ({why}). 권한을 확인해 주세요.",
    ),
    "file_exists": Words(
        en="{file} exists already. Name another file, or add --force to replace it.",
        ko="파일이 이미 있어요: {file}. 다른 이름을 쓰거나 --force 옵션으로 바꿔 주세요.",
    ),
    "own_file": Words(
        en="{file} belongs to the replica itself and was left as it is. Name another file.",
        ko="이 기기의 데이터 파일이라서 그대로 두었어요: {file}. 다른 이름을 적어 주세요.",
    ),
    "no_folder": Words(
        en="There is no folder {folder}. Make it first.",
        ko="폴더가 없어요: {folder}. 먼저 만들어 주세요.",
    ),
    "which_format": Words(
        en="{file} does not say what it is. Name it .csv or .jsonl, or add --format.",
        ko="파일 형식을 알 수 없어요: {file}. 이름을 .csv 또는 .jsonl로 끝내거나 "
        "--format 옵션을 더해 주세요.",
    ),
    "file_is_utf16": Words(
        en="The file is stored as UTF-16. Save it as UTF-8 (in Excel: CSV UTF-8), or add "
        "--encoding utf-16.",
        ko="UTF-16으로 저장한 파일이에요. UTF-8로 저장하거나(Excel: CSV UTF-8) "
        "--encoding utf-16 옵션을 더해 주세요.",
    ),
    "no_such_encoding": Words(
        en="{encoding} is not an encoding. Use utf-8, cp949, utf-16 or another known one.",
        ko="알 수 없는 인코딩이에요: {encoding}. utf-8, cp949, utf-16 등을 써 주세요.",
    ),
    "not_in_encoding": Words(
        en="The file is not stored as {encoding} ({reason}). Name its own encoding with "
        "--encoding, or save it as UTF-8.",
        ko="{encoding}(으)로 저장한 파일이 아니에요({reason}). --encoding에 파일의 인코딩을 "
        "적거나 UTF-8로 저장해 주세요.",
    ),
    "file_is_empty": Words(
        en="The file is empty. A CSV file starts with a line of column names.",
        ko="빈 파일이에요. CSV 파일의 첫 줄에는 열 이름이 있어야 해요.",
    ),
    "bad_header": Words(
        en="The line of column names cannot be read: {reason}",
        ko="열 이름 줄을 읽을 수 없어요: {reason}",
    ),
    "header_gap": Words(
        en="Column {place} has no name. Name every column in the first line.",
        ko="{place}번째 열에 이름이 없어요. 첫 줄에서 모든 열에 이름을 붙여 주세요.",
    ),
    "header_twice": Words(
        en="Two columns have the same name: {names}. Rename or remove one.",
        ko="이름이 같은 열이 있어요: {names}. 이름을 바꾸거나 하나를 지워 주세요.",
    ),
    "other_delimiter": Words(
        en='There is only one column, "{header}". Add --delimiter "{sign}" if {sign} stands '
        "between the cells.",
        ko='열이 하나뿐이에요: {header}. 칸을 나누는 기호에 맞게 --delimiter "{sign}" 옵션을 '
        "더해 주세요.",
    ),
    "bad_delimiter": Words(
        en="A delimiter is one character, such as , or ; or tab.",
        ko="칸을 나누는 기호는 한 글자예요. 예: , 또는 ; 또는 tab",
    ),
    "no_id_column": Words(
        en='There is no column "{name}" with the records\' ids. Name the right one with '
        "--id-column. The columns are: {columns}.",
        ko="기록 번호가 있는 '{name}' 열이 없어요. --id-column 옵션으로 알려 주세요. "
        "파일에 있는 열: {columns}",
    ),
    "no_such_column": Words(
        en="The file has no column {names} (given with --map). The columns are: {columns}.",
        ko="--map 옵션에 적은 열이 파일에 없어요: {names}. 파일에 있는 열: {columns}",
    ),
    "no_column_fits": Words(
        en="No column has the name of a field of {collection} ({fields}). Say which goes where: "
        "--map COLUMN=FIELD. The columns are: {columns}.",
        ko="{collection} 항목과 이름이 같은 열이 없어요({fields}). --map COLUMN=FIELD 옵션으로 "
        "알려 주세요. 파일에 있는 열: {columns}",
    ),
    "two_columns": Words(
        en='Two columns go into the field "{field}". Leave one out, or rename it.',
        ko="두 열이 같은 '{field}' 항목으로 들어가요. 하나를 빼거나 이름을 바꿔 주세요.",
    ),
    "bad_map": Words(
        en='"{text}" is not COLUMN=FIELD. Write it like --map PHONE_NO=phone.',
        ko="COLUMN=FIELD 형식이 아니에요: {text}. --map PHONE_NO=phone처럼 써 주세요.",
    ),
    "map_twice": Words(
        en='--map names the column "{column}" twice. Name it once.',
        ko="--map 옵션에 '{column}' 열을 두 번 적었어요. 한 번만 적어 주세요.",
    ),
    "queue_full": Words(
        en="More than {limit} changes would wait on this device. Sync first (`crdtsync sync`), "
        "then run the same import again.",
        ko="이 기기에서 기다리는 변경이 {limit}건을 넘어요. 먼저 `crdtsync sync` 명령으로 보낸 뒤 "
        "같은 가져오기를 다시 실행해 주세요.",
    ),
    "too_many_rows": Words(
        en="The file has more than {limit} records. Split it; what was imported so far is kept.",
        ko="파일에 기록이 {limit}건 넘게 있어요. 파일을 나눠 주세요. 지금까지 가져온 기록은 "
        "그대로 있어요.",
    ),
    # One line of a file.
    "line": Words(en="Line {n}", ko="{n}번째 줄"),
    "bad_encoding": Words(
        en="the text is not UTF-8; save the file as UTF-8, or say how it is stored with "
        "--encoding (such as cp949)",
        ko="UTF-8 글이 아니에요. UTF-8로 저장하거나 --encoding 옵션(예: cp949)을 더해 주세요",
    ),
    "bad_nul": Words(
        en="it holds NUL characters, which are no text", ko="글이 아닌 NUL 문자가 들어 있어요"
    ),
    "too_long_line": Words(
        en="the line is longer than {limit} characters", ko="한 줄이 {limit}자보다 길어요"
    ),
    "ragged": Words(
        en="it has {n} {n:cell|cells}, the first line has {columns}",
        ko="칸이 {n}개인데 첫 줄에는 {columns}개 있어요",
    ),
    "open_quote": Words(
        en='a quote (") opens here and is not closed; lines {start} to {end} were not imported',
        ko='여기서 연 따옴표(")를 닫지 않았어요. {start}~{end}번째 줄은 가져오지 못했어요',
    ),
    "bad_csv": Words(
        en="it is not readable as CSV: {reason}", ko="CSV 형식으로 읽을 수 없어요: {reason}"
    ),
    "bad_json": Words(en="it is not JSON: {reason}", ko="JSON 형식이 아니에요: {reason}"),
    "not_an_object": Words(
        en='it is not a record; a line looks like {{"id": "p1", "name": "Kim"}}',
        ko='기록 형식이 아니에요. {{"id": "p1", "name": "Kim"}}처럼 써 주세요',
    ),
    "bad_no_id": Words(
        en='the column "{column}" is empty; every record needs its id',
        ko="'{column}' 열이 비어 있어요. 기록마다 번호가 필요해요",
    ),
    "bad_id": Words(en="{reason}", ko="기록 번호가 올바르지 않아요: {reason}"),
    "bad_conflict_cell": Words(
        en='"{field}" holds several values that nobody has chosen from (an exported conflict); '
        "resolve it where it came from, or put one value here",
        ko="'{field}' 칸에 아직 아무도 고르지 않은 여러 값이 있어요(내보낸 충돌). "
        "원래 있던 곳에서 고르거나 값 하나만 넣어 주세요",
    ),
    "bad_in_conflict": Words(
        en='"{field}" has different values on this device; choose first: crdtsync conflicts',
        ko="이 기기의 '{field}' 항목에 서로 다른 값이 있어요. 먼저 골라 주세요: crdtsync conflicts",
    ),
    "bad_deleted": Words(
        en="the record is deleted here; restore it first if it is to come back",
        ko="여기에서 삭제한 기록이에요. 필요하면 먼저 되돌려 주세요",
    ),
    "bad_twice": Words(
        en="the id stands on line {line} already, with other values; keep the right one",
        ko="같은 번호가 {line}번째 줄에 다른 값으로 있어요. 맞는 줄만 남겨 주세요",
    ),
    "bad_no_values": Words(
        en="the record is new and has no values", ko="새 기록인데 값이 하나도 없어요"
    ),
    "bad_counter": Words(
        en='"{field}" is a counter: the file says {file}, here it is {shown}. Add the difference '
        "with --counters add, or leave the column out with --counters skip",
        ko="'{field}' 항목은 더하는 값이에요. 파일에는 {file}, 여기에는 {shown}. 차이를 더하려면 "
        "--counters add, 이 열을 빼려면 --counters skip 옵션을 써 주세요",
    ),
    "bad_other": Words(en="{reason}", ko="가져올 수 없어요: {reason}"),
    # What an import or export did.
    "importing": Words(en="Importing", ko="가져오는 중"),
    "imported": Words(
        en="{new} new, {changed} changed, {unchanged} already as in the file.",
        ko="새 기록 {new}건, 바뀐 기록 {changed}건, 이미 같은 기록 {unchanged}건",
    ),
    "import_stopped": Words(
        en="The import stopped. {n} {n:record is|records are} saved; run the same import again to "
        "go on where it stopped.",
        ko="가져오기를 멈췄어요. 기록 {n}건은 저장했어요. 같은 가져오기를 다시 실행하면 "
        "이어서 해요.",
    ),
    "kept": Words(
        en="{n} {n:record was|records were} here already and left alone.",
        ko="이미 있던 기록 {n}건은 그대로 두었어요.",
    ),
    "bad_lines": Words(
        en="{n} {n:line was|lines were} not imported; correct {n:it|them} and import again.",
        ko="{n}줄은 가져오지 못했어요. 고친 뒤 다시 가져와 주세요.",
    ),
    "more_bad": Words(
        en="… and {n} more (--json names up to 1,000).",
        ko="… 그 밖에 {n}줄(--json에서 1,000줄까지)",
    ),
    "left_out": Words(
        en="Left out, because {collection} has no such field: {names}. To take one along: --map "
        "COLUMN=FIELD",
        ko="{collection} 항목에 없어서 빼 둔 열: {names}. 가져오려면 --map COLUMN=FIELD 옵션을 "
        "써 주세요.",
    ),
    "exported": Words(
        en="{n} {n:record|records} written to {file}", ko="기록 {n}건을 내보냈어요: {file}"
    ),
    "exported_conflicts": Words(
        en="{n} {n:field has|fields have} several values and {n:stands|stand} there as "
        '{{"conflict": …}}, not as one value.',
        ko='서로 다른 값이 있는 항목 {n}개는 값 하나가 아니라 {{"conflict": …}} 형태로 있어요.',
    ),
    # The policy.
    "policy_exists": Words(
        en="{file} exists already and is left alone. Name another file.",
        ko="파일이 이미 있어서 그대로 두었어요: {file}. 다른 이름을 써 주세요.",
    ),
    "policy_made": Words(
        en="{file} is written. Change it to your needs, then: crdtsync policy check {file}",
        ko="정책 파일을 만들었어요: {file}. 필요에 맞게 고친 뒤 확인해 주세요: "
        "crdtsync policy check {file}",
    ),
    "policy_missing": Words(
        en="There is no file {file}. Check the path, or make one: crdtsync policy init",
        ko="파일이 없어요: {file}. 경로를 확인하거나 `crdtsync policy init` 명령으로 만들어 "
        "주세요.",
    ),
    "policy_unreadable": Words(
        en="{file} cannot be read as a policy. Check which file it is and who may read it.",
        ko="정책 파일로 읽을 수 없어요: {file}. 어떤 파일인지, 읽을 권한이 있는지 확인해 주세요.",
    ),
    "policy_mistakes": Words(
        en="{file}: {n} {n:mistake|mistakes}. Correct {n:it|them}, then check again.",
        ko="{file}: 잘못된 곳이 {n}개 있어요. 아래에 적힌 곳을 고친 뒤 다시 확인해 주세요.",
    ),
    "policy_line": Words(en="line {line}", ko="{line}번째 줄"),
    "policy_good": Words(
        en="{file}: no mistakes. Version {version}, {collections} "
        "{collections:collection|collections}, {fields} {fields:field|fields}, file hash {hash}",
        ko="{file}: 잘못된 곳이 없어요. 버전 {version}, 기록 종류 {collections}개, "
        "항목 {fields}개, 파일 해시 {hash}",
    ),
    "policy_same": Words(en="The two files say the same.", ko="두 파일의 규칙이 같아요."),
    "change_safe": Words(en="✓ safe   ", ko="✓ 안전"),
    "change_refused": Words(en="✗ refused", ko="✗ 불가"),
    "policy_may_replace": Words(
        en="The second file may replace the first.", ko="두 번째 파일로 바꿔도 돼요."
    ),
    "policy_may_not_replace": Words(
        en="The second file may not replace the first as it is; do what stands after the arrows.",
        ko="두 번째 파일로 바로 바꿀 수 없어요. 화살표 뒤의 방법을 따라 주세요.",
    ),
    "policy_hash": Words(en="File hash (SHA-256): {hash}", ko="파일 해시(SHA-256): {hash}"),
    "signature_title": Words(en="Agreed", ko="동의"),
    "signature_name": Words(en="Name and role", ko="이름과 역할"),
    "signature_date": Words(en="Date", ko="날짜"),
    "signature": Words(en="Signature", ko="서명"),
}
