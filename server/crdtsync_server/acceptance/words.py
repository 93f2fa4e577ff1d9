"""What the acceptance suite says, in English and Korean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.catalogue.wording import Words, fill
from crdtsync_server.acceptance.words_of_scenarios import CHECKS, DID, TITLES

OWN: Final[Mapping[str, Words]] = {
    "device_tablet": Words(en="the tablet", ko="태블릿"),
    "device_phone": Words(en="the phone", ko="휴대폰"),
    "device_desk": Words(en="the desk computer", ko="데스크톱"),
    "verdict_go": Words(
        en="Go: {passed} {passed:scenario|scenarios} passed, none failed.",
        ko="진행: 시나리오 {passed}개 통과, 실패 없음.",
    ),
    "verdict_no_go": Words(
        en="No-Go: {failed} of {ran} scenarios failed.",
        ko="중단: 시나리오 {ran}개 중 {failed}개 실패.",
    ),
    "verdict_nothing_ran": Words(
        en="No-Go: no scenario was run.", ko="중단: 실행한 시나리오가 없어요."
    ),
    "reason_totals": Words(
        en="{written:,} changes were written; {lost} {lost:was|were} lost, {doubled} doubled.",
        ko="변경 {written:,}건을 썼고, 유실 {lost}건, 중복 {doubled}건이에요.",
    ),
    "reason_failed": Words(en="“{title}”: {check}", ko="‘{title}’: {check}"),
    "failed_check": Words(
        en="Expected: {expected} Seen: {saw}", ko="기대한 결과: {expected} 확인한 결과: {saw}"
    ),
    "reason_not_run": Words(
        en="Not run, and so not shown: {n} ({names}).",
        ko="실행하지 않아 확인하지 못한 시나리오 {n}개: {names}.",
    ),
    "reason_quick": Words(
        en="This was a quick run with fewer changes; decide on a full one.",
        ko="변경 수를 줄인 빠른 실행이에요. 진행 여부는 전체 실행 결과를 보고 정해 주세요.",
    ),
    "why_not_no_secret": Words(
        en="It needs the secret that this server checks sign-ins with (--secret-file).",
        ko="이 서버에서 로그인을 확인하는 비밀 값이 필요해요(--secret-file).",
    ),
    "why_not_named_server": Words(
        en="It stops, fills or restarts the server, which must not happen to a server of yours.",
        ko="서버를 멈추거나 가득 채우거나 다시 켜는 시나리오라서, 지정한 서버에서는 실행하지 "
        "않아요.",
    ),
    "why_not_quick": Words(
        en="It takes more than a minute; a quick run leaves it out.",
        ko="1분 넘게 걸려서 빠른 실행에서는 빼요.",
    ),
    "why_not_mount": Words(
        en="It needs a small disk that can be filled; mounting one takes the rights of root on "
        "Linux.",
        ko="가득 채울 작은 디스크가 필요해요. Linux에서 관리자(root) 권한이 있어야 만들 수 있어요.",
    ),
    "status_passed": Words(en="Passed", ko="통과"),
    "status_failed": Words(en="FAILED", ko="실패"),
    "status_not_run": Words(en="Not run", ko="실행 안 함"),
    "column_scenario": Words(en="Scenario", ko="시나리오"),
    "column_result": Words(en="Result", ko="결과"),
    "column_written": Words(en="Written", ko="작성"),
    "column_acknowledged": Words(en="On the server", ko="서버 저장"),
    "column_lost": Words(en="Lost", ko="유실"),
    "column_doubled": Words(en="Doubled", ko="중복"),
    "column_conflicts": Words(en="Conflicts", ko="충돌"),
    "column_recovery": Words(en="Recovery (s)", ko="복구(초)"),
    "column_seconds": Words(en="Took (s)", ko="걸린 시간(초)"),
    "total": Words(en="Total", ko="합계"),
    "progress": Words(en="[{number}/{of}] {title}", ko="[{number}/{of}] {title}"),
    "progress_ended": Words(en="{status} after {seconds} s", ko="{status}, {seconds}초"),
    "heading_report": Words(en="Acceptance report", ko="인수 시험 보고서"),
    "heading_reasons": Words(en="Why", ko="이유"),
    "heading_overview": Words(en="Overview", ko="전체 결과"),
    "heading_each": Words(en="Each scenario", ko="시나리오별 결과"),
    "heading_run": Words(en="About this run", ko="실행 정보"),
    "heading_words": Words(en="What the words mean", ko="용어 설명"),
    "did": Words(en="What was done", ko="한 일"),
    "expected": Words(en="Expected", ko="기대한 결과"),
    "saw": Words(en="Seen", ko="확인한 결과"),
    "held": Words(en="Held?", ko="충족"),
    "yes": Words(en="yes", ko="예"),
    "no": Words(en="NO", ko="아니요"),
    "concerned": Words(en="Numbers of the changes that do not add up", ko="맞지 않는 변경 번호"),
    "logs_of": Words(en="Logs and trace", ko="로그와 추적 기록"),
    "proof_file": Words(
        en="Proof: the server's database file was read and compared with what people wrote.",
        ko="증거: 서버 데이터베이스 파일을 읽어서 사람들이 쓴 내용과 비교했어요.",
    ),
    "proof_protocol": Words(
        en="Proof: the server's whole history was read as a new device sees it and compared with "
        "what people wrote.",
        ko="증거: 새 기기처럼 서버의 전체 이력을 읽어서 사람들이 쓴 내용과 비교했어요.",
    ),
    "mean_written": Words(
        en="Written: changes that a device said were saved, less those that a person took back.",
        ko="작성: 기기에 저장했다고 알린 변경(사람이 취소한 것 제외).",
    ),
    "mean_acknowledged": Words(
        en="On the server: of those, the ones that stand in the server's log.",
        ko="서버 저장: 그중 서버 기록에 있는 변경.",
    ),
    "mean_lost": Words(
        en="Lost: written, but neither on the server nor waiting on a device.",
        ko="유실: 작성했지만 서버에도 없고 기기에서 기다리지도 않는 변경.",
    ),
    "mean_doubled": Words(
        en="Doubled: on the server more than once.", ko="중복: 서버에 두 번 이상 있는 변경."
    ),
    "mean_conflicts": Words(
        en="Conflicts: fields in which people wrote different values and a person has to choose. "
        "They are part of the scenarios and not a fault.",
        ko="충돌: 서로 다른 값을 써서 사람이 골라야 하는 항목. 시나리오의 일부이고 오류가 "
        "아니에요.",
    ),
    "mean_recovery": Words(
        en="Recovery: seconds from the return of the network until everybody was in step.",
        ko="복구: 네트워크가 돌아온 뒤 모두 같은 상태가 될 때까지 걸린 시간(초).",
    ),
    "logs_or_data": Words(
        en="--keep-data keeps the logs as well: leave --logs out.",
        ko="--keep-data에 로그도 함께 저장되니 --logs는 빼 주세요.",
    ),
    "run_seed": Words(en="Seed", ko="시드"),
    "run_mode": Words(en="Kind of run", ko="실행 종류"),
    "mode_full": Words(en="full", ko="전체"),
    "mode_quick": Words(en="quick (fewer changes)", ko="빠른 실행(변경 수 줄임)"),
    "run_server": Words(en="Server", ko="서버"),
    "server_own": Words(
        en="one of its own for each scenario", ko="시나리오마다 새로 켠 시험용 서버"
    ),
    "run_started": Words(en="Started", ko="시작"),
    "run_took": Words(en="Took", ko="걸린 시간"),
    "run_seconds": Words(en="{n} s", ko="{n}초"),
    "run_machine": Words(en="Machine", ko="장비"),
    "run_versions": Words(en="Versions", ko="버전"),
    "run_spaces": Words(en="Written into the spaces", ko="사용한 공간"),
    "spaces_note": Words(
        en="The records in these spaces were deleted again. The server keeps its log of them and "
        "the receipts: it never forgets a change.",
        ko="이 공간의 기록은 다시 삭제했어요. 서버는 어떤 변경도 잊지 않아서 변경 이력과 영수증은 "
        "그대로 남아요.",
    ),
    "logs_kept": Words(en="Logs and traces: {folder}", ko="로그와 추적 기록: {folder}"),
    "logs_removed": Words(
        en="All is well, so the logs were removed (--logs DIR keeps them).",
        ko="모두 정상이라서 로그를 지웠어요(--logs DIR 옵션을 쓰면 남겨 둬요).",
    ),
    "report_written": Words(en="Report: {path}", ko="보고서: {path}"),
    "interrupted": Words(
        en="Stopped. Every process was ended; the logs are in {folder}",
        ko="멈췄어요. 모든 프로세스를 종료했고, 로그는 여기에 있어요: {folder}",
    ),
    "unknown_scenario": Words(
        en="There is no scenario {name}. There are: {names}",
        ko="그런 시나리오가 없어요: {name}. 쓸 수 있는 이름: {names}",
    ),
    "bad_url": Words(
        en="{url} is not an address the suite can test. It takes ws://host:port or wss://host.",
        ko="시험할 수 없는 주소예요: {url}. ws://host:port 또는 wss://host 형식으로 써 주세요.",
    ),
    "bad_ca": Words(
        en="{file} holds no certificates in PEM form ({error}).",
        ko="PEM 형식의 인증서가 없는 파일이에요: {file} ({error}).",
    ),
    "needs_server": Words(
        en="--ca and --secret-file say how a server of yours is reached; give --server, too.",
        ko="--ca와 --secret-file은 직접 운영하는 서버에 연결할 때 써요. --server도 함께 적어 "
        "주세요.",
    ),
    "logs_not_empty": Words(
        en="{folder} is not an empty folder. Name one that is empty or not there yet.",
        ko="빈 폴더가 아니에요: {folder}. 비어 있거나 아직 없는 폴더를 적어 주세요.",
    ),
    "no_suite_policy": Words(
        en="The policy of {url} lacks the suite's own collection, so the suite would have to write "
        "into real ones. Add what `crdtsync acceptance --print-policy` prints to the server's "
        "policy file, raise its version and restart the server. (Policy version there: {version})",
        ko="서버 정책에 시험용 기록 종류가 없어요: {url}. 시험하려면 실제 기록 종류에 써야 해서 "
        "실행하지 않았어요. `crdtsync acceptance --print-policy` 명령의 출력을 서버 정책 파일에 "
        "더하고, 버전을 올린 뒤 서버를 다시 시작해 주세요. (서버의 정책 버전: {version})",
    ),
    "cannot_reach": Words(
        en="{url} cannot be tested: {error}", ko="시험할 수 없는 서버예요: {url}. 자세히: {error}"
    ),
}

TEXTS: Final[Mapping[str, Words]] = {**OWN, **TITLES, **DID, **CHECKS}


def tell(key: str, lang: str, **params: object) -> str:
    """The text ``key`` in ``lang``."""
    return fill(TEXTS[key].in_lang(lang), params).strip()
