"""What ``crdtsync simulate`` says, in English and Korean. Timelines are in English only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.catalogue.wording import Words, fill

TEXTS: Final[Mapping[str, Words]] = {
    "needs_packages": Words(
        en="this command needs more packages. Install them: pip install 'crdtsync[simulate]'",
        ko="이 명령에는 패키지가 더 필요해요. 이렇게 설치해 주세요: "
        "pip install 'crdtsync[simulate]'",
    ),
    "not_together": Words(
        en="{one} and {other} do not go together. Leave one out.",
        ko="함께 쓸 수 없는 옵션이에요: {one}, {other}. 하나를 빼 주세요.",
    ),
    "folder_not_empty": Words(
        en="{folder} is not an empty folder. Name a new one.",
        ko="빈 폴더가 아니에요: {folder}. 새 폴더 이름을 적어 주세요.",
    ),
    "begins": Words(
        en="Seeds {first} to {last}, {jobs} {jobs:worker|workers}. The same again: {command}",
        ko="시드 {first}~{last}, 작업 프로세스 {jobs}개. 똑같이 다시 실행: {command}",
    ),
    "progress": Words(
        en="{done:,} of {seeds:,} seeds, {per_s:.1f} seeds/s ({per_job:.1f} per job), "
        "{hours:.1f} virtual hours, {ops:,} ops, {frames:,} frames, {failed} failed",
        ko="시드 {seeds:,}개 중 {done:,}개, 초당 {per_s:.1f}개(작업당 {per_job:.1f}개), "
        "가상 시간 {hours:.1f}시간, 변경 {ops:,}건, 프레임 {frames:,}개, 실패 {failed}개",
    ),
    "shrinking": Words(
        en="Seed {seed}: looking for the shortest way to the failure. {runs} runs, {steps} of "
        "{of} steps left",
        ko="시드 {seed}: 실패에 이르는 가장 짧은 길을 찾고 있어요. 실행 {runs}번, "
        "단계 {of}개 중 {steps}개 남음",
    ),
    "all_held": Words(
        en="All held: {seeds:,} {seeds:seed|seeds}, {hours:.1f} virtual hours, {faults:,} faults, "
        "no invariant broke.",
        ko="모두 지켰어요: 시드 {seeds:,}개, 가상 시간 {hours:.1f}시간, 장애 {faults:,}건, "
        "깨진 불변식 없음",
    ),
    "some_failed": Words(
        en="{failed} of {seeds:,} {seeds:seed|seeds} FAILED.",
        ko="시드 {seeds:,}개 중 {failed}개가 실패했어요.",
    ),
    "interrupted": Words(
        en="Stopped after {seeds:,} of {of:,} seeds; this is what they gave.",
        ko="시드 {of:,}개 중 {seeds:,}개에서 멈췄어요. 여기까지의 결과예요.",
    ),
    "speed": Words(
        en="{per_s:.1f} seeds/s with {jobs} {jobs:job|jobs}, {per_core:.1f} per second of "
        "processor time; {elapsed:.1f} s in all; {ops:,} ops, {frames:,} frames",
        ko="작업 {jobs}개로 초당 시드 {per_s:.1f}개, 프로세서 1초당 {per_core:.1f}개. "
        "전체 {elapsed:.1f}초, 변경 {ops:,}건, 프레임 {frames:,}개",
    ),
    "heading_faults": Words(en="Faults", ko="장애"),
    "heading_people": Words(en="What people did", ko="사람들이 한 일"),
    "heading_other": Words(en="What else was counted", ko="그 밖의 횟수"),
    "column_of": Words(en="Of", ko="종류"),
    "column_what": Words(en="What", ko="내용"),
    "column_times": Words(en="Times", ko="횟수"),
    "failed_seed": Words(en="Seed {seed} failed: {invariant}", ko="시드 {seed} 실패: {invariant}"),
    "replay": Words(en="Replay it: {command}", ko="다시 실행: {command}"),
    "not_again": Words(
        en="It did not fail alike in a fresh process. What a run does must not depend on what ran "
        "before it: this is a fault of the simulator, too.",
        ko="새 프로세스에서는 똑같이 실패하지 않았어요. 실행 결과는 앞선 실행의 영향을 받지 "
        "않아야 하니, 시뮬레이터에도 오류가 있어요.",
    ),
    "shortest": Words(
        en="The shortest that fails alike: {steps} of {of_steps} steps, {devices} of {of_devices} "
        "devices ({runs} runs were tried)",
        ko="똑같이 실패하는 가장 짧은 계획: 단계 {of_steps}개 중 {steps}개, "
        "기기 {of_devices}대 중 {devices}대 (시도 {runs}번)",
    ),
    "not_finished": Words(
        en="It may get shorter still: --shrink-seconds gives more time.",
        ko="더 짧아질 수 있어요. --shrink-seconds 옵션으로 시간을 늘려 주세요.",
    ),
    "end_of_timeline": Words(
        en="The end of its timeline (whole: {file}):",
        ko="타임라인의 끝부분 (전체: {file}):",
    ),
    "files_in": Words(
        en="Plans and timelines of what failed are in {folder}",
        ko="실패한 계획과 타임라인 위치: {folder}",
    ),
    "more_failures": Words(en="{n} more failed: {seeds}", ko="그 밖에 실패한 시드 {n}개: {seeds}"),
}


def tell(key: str, lang: str, **params: object) -> str:
    """The text ``key`` in ``lang``."""
    return fill(TEXTS[key].in_lang(lang), params)
