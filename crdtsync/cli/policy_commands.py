"""``crdtsync policy init | check | show``."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from crdtsync.catalogue import PolicyTable, lang_of, message, policy_table
from crdtsync.cli.failures import BAD_INPUT, EXIT_CODES, NEEDS_PERSON, OK, STORAGE, Failure
from crdtsync.cli.options import AsJson, Lang
from crdtsync.cli.screen import print_json, table, to_read, to_tell
from crdtsync.cli.texts import say
from crdtsync.policy import PolicyError, compare
from crdtsync.policy_file import Policy
from crdtsync.whole_file import write_whole

STARTER = "starter_policy.toml"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True, help="The policy: what happens when two people write the same field."
    )
    group.command("init", epilog=EXIT_CODES)(init)
    group.command("check", epilog=EXIT_CODES)(check)
    group.command("show", epilog=EXIT_CODES)(show)
    app.add_typer(group, name="policy")


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to make.")] = Path(
        "policy.toml"
    ),
    lang: Lang = "en",
) -> None:
    """Write a policy to start from, with comments. Never overwrites a file."""
    text = resources.files("crdtsync.cli").joinpath(STARTER).read_text(encoding="utf-8")
    try:
        write_whole(file, [text], replace=False)
    except FileExistsError:
        raise Failure(say("policy_exists", lang, file=file)) from None
    except FileNotFoundError:
        raise Failure(say("no_folder", lang, folder=file.parent), STORAGE) from None
    to_read().print(say("policy_made", lang, file=file), soft_wrap=True)


def check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The policy; with OTHER, the one in use now.")
    ],
    other: Annotated[
        Path | None,
        typer.Argument(metavar="OTHER", help="The policy that is to replace FILE."),
    ] = None,
    as_json: AsJson = False,
    lang: Lang = "en",
) -> None:
    """Name every mistake of a policy; with OTHER, say what would change and how to migrate.

    Exit code 2: a file has mistakes. Exit code 1: OTHER cannot replace FILE as it is.
    """
    files = [file] if other is None else [file, other]
    policies, mistakes = _load_all(files)
    document: dict[str, object] = {
        "files": [
            {"file": str(path), "version": policy.version, "hash": policy.hash}
            if policy is not None
            else {"file": str(path)}
            for path, policy in zip(files, policies, strict=True)
        ],
        "mistakes": [
            {"file": error.source, "where": p.where, "line": p.line, "what": p.what, "cure": p.cure}
            for error in mistakes
            for p in error.problems
        ],
    }
    old, new = policies[0], policies[-1]
    difference = compare(old, new) if other and old is not None and new is not None else None
    if difference is not None:
        document["ok"] = difference.ok
        document["changes"] = [
            {"where": c.where, "kind": c.kind, "what": c.what, "how_to_migrate": c.how_to_migrate}
            for c in difference.changes
        ]
    if as_json:
        print_json(document)
    else:
        for error in mistakes:
            to_tell().print(_mistakes(error, lang), soft_wrap=True)
        for path, policy in zip(files, policies, strict=True):
            if policy is not None:
                to_read().print(_summary(path, policy, lang), soft_wrap=True)
        if difference is not None:
            _print_difference(difference.changes, difference.ok, lang)
    if mistakes:
        raise typer.Exit(BAD_INPUT)
    raise typer.Exit(OK if difference is None or difference.ok else NEEDS_PERSON)


def _load_all(files: list[Path]) -> tuple[list[Policy | None], list[PolicyError]]:
    policies: list[Policy | None] = []
    mistakes: list[PolicyError] = []
    for path in files:
        try:
            policies.append(Policy.load(path))
        except PolicyError as error:
            policies.append(None)
            mistakes.append(error)
    return policies, mistakes


def _mistakes(error: PolicyError, lang: str) -> str:
    """All mistakes of a file. The policy's own words are in English: in Korean they are details."""
    if lang_of(lang) == "en":
        return str(error)
    # Where nothing has a place, it is the file as a whole that is of no use.
    if any(problem.where or problem.line is not None for problem in error.problems):
        head = say("policy_mistakes", lang, file=error.source, n=len(error.problems))
    else:
        there = os.path.lexists(error.source)
        head = say("policy_unreadable" if there else "policy_missing", lang, file=error.source)
    lines = [head]
    for problem in error.problems:
        place = [say("policy_line", lang, line=problem.line)] if problem.line is not None else []
        place += [problem.where] if problem.where else []
        where = f"{', '.join(place)} · " if place else ""
        lines.append(f"  {where}{message('details', lang)}: {problem.what}. {problem.cure}")
    return "\n".join(lines)


def _summary(path: Path, policy: Policy, lang: str) -> str:
    return say(
        "policy_good",
        lang,
        file=path,
        version=policy.version,
        collections=len(policy.collections),
        fields=sum(len(found.fields) for found in policy.collections.values()),
        hash=policy.hash,
    )


def _print_difference(changes: object, ok: bool, lang: str) -> None:
    out = to_read()
    assert isinstance(changes, tuple)
    if not changes:
        out.print(say("policy_same", lang))
        return
    out.print()
    for change in changes:
        out.print(
            f"{say('change_' + change.kind, lang)}  {change.where}: {change.what}", soft_wrap=True
        )
        if change.how_to_migrate:
            out.print(f"    → {change.how_to_migrate}", soft_wrap=True)
    out.print()
    out.print(say("policy_may_replace" if ok else "policy_may_not_replace", lang), soft_wrap=True)


def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The policy.")],
    as_json: AsJson = False,
    lang: Lang = "en",
) -> None:
    """The policy as a page that a person can read and sign."""
    policy = Policy.load(file)
    page = policy_table(policy, lang)
    if as_json:
        print_json(_document(page))
        return
    _print_page(to_read(), page, os.fspath(file), lang)


def _print_page(out: Console, page: PolicyTable, file: str, lang: str) -> None:
    out.print(page.title, style="bold")
    out.print(f"{page.version} · {file}", soft_wrap=True)
    out.print(say("policy_hash", lang, hash=page.file_hash), soft_wrap=True)
    for collection in page.collections:
        out.print()
        rows = table(*page.headings, title=f"{collection.title} ({collection.name})")
        rows.show_lines = True
        for row in collection.rows:
            rows.add_row(*row.cells)
        out.print(rows)
        out.print(collection.delete_rule)
        out.print(collection.who_may_delete)
    out.print()
    out.print(page.once_title, style="bold")
    out.print(page.once)
    for title, items in ((page.states_title, page.states), (page.targets_title, page.targets)):
        out.print()
        out.print(title, style="bold")
        what = "heading_meaning" if items is page.states else "heading_value"
        listed = table(say("heading_name", lang), say(what, lang))
        for item in items:
            listed.add_row(item.name, item.text)
        out.print(listed)
    out.print()
    out.print(say("signature_title", lang), style="bold")
    for key in ("signature_name", "signature_date", "signature"):
        out.print(f"\n{say(key, lang)}: {'_' * 40}")


def _document(page: PolicyTable) -> dict[str, object]:
    return {
        "lang": page.lang,
        "title": page.title,
        "version": page.version,
        "hash": page.file_hash,
        "headings": list(page.headings),
        "collections": [
            {
                "name": found.name,
                "title": found.title,
                "fields": [list(row.cells) for row in found.rows],
                "delete_rule": found.delete_rule,
                "who_may_delete": found.who_may_delete,
            }
            for found in page.collections
        ],
        "once": page.once,
        "states": {item.name: item.text for item in page.states},
        "targets": {item.name: item.text for item in page.targets},
    }
