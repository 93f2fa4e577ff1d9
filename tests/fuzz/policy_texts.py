"""Policy files, good ones and such as nobody would sign."""

from __future__ import annotations

from random import Random

from tests.fuzz.bad_frames import spoil_bytes
from tests.fuzz.hostile import TEXTS
from tests.fuzz.rules import POLICY_TEXT

TYPES = (
    *("string", "integer", "number", "boolean", "date", "datetime", "decimal", "json", "text"),
    *("set<string>", "set<date>", "list<string>", "map<number>", "list<list<list<string>>>"),
    *(
        "list<" * 30 + "string" + ">" * 30,
        "set<set<string>>",
        "set<",
        "string>",
        "",
        "List<string>",
    ),
)
MERGES = (
    *("server-latest", "user-latest", "manual", "counter", "set", "text", "list", "", "Manual"),
    "lww",
)
VALUES = (
    *("true", "1", "-1", "0", "1.5", "1e400", "nan", "inf", "[]", '[""]', "{}", '""', '"x"'),
    *("9007199254740992", "9" * 400, "9" * 5_000, "0x7f", "0o7", "0b1", "1_000", "[" * 500),
    *("[" * 3_000 + "]" * 3_000, "{a={a={a=1}}}", "2024-01-31", "2024-02-30", "12:00:00"),
    *("2024-01-31T00:00:00Z", "'''\n'''", '"""\\u0000"""', '"\\uD800"', "[1, 'a', 2.0]"),
    *('["a", "a"]', "[" + "'x'," * 300 + "]", '{ en = "Name", ko = "이름" }', '{ xx = "\\u202e" }'),
)
PATTERNS = (
    *("(a+)+b", "(a|aa)*b", "([a-z]+)*$", "(.*)*x", ".*.*.*.*.*=", "(a?){30}a{30}", "((((a))))"),
    *("(" * 100 + ")" * 100, "a{1000}{1000}", "[a-z]{1,1000}[a-z]{1,1000}", "(?=a)b", "(?P<x>a)"),
    *("\\1", "(a)\\1", "[[:alpha:]]", "[z-a]", "[]", "[^]", "*", "a**", "(", "\\", "x{9999}"),
    *("\\d{3}-\\d{4}", "[A-Z]{2}", "[가-힣]+", "(ab)*(ab)*(ab)*", "(a*)(a*)(a*)(a*)(a*)(a*)c"),
    *("a?" * 99 + "a" * 99, ".{0,500}.{0,500}", "\\p{L}", "a|b|c|", "(?i)a", "[a-z&&[b]]", "\\x00"),
)
KEYS = (
    *("type", "merge", "label", "required", "max_length", "min", "max", "pattern", "choices"),
    *("write", "delete", "tpye", "on_delete_conflict", "fields", "version", "targets", "__proto__"),
)
LINES = (
    *("[item.fields]", "[item]", "[[item]]", "[other]", "[targets]", "[item.fields.name]", "["),
    *("]", "=", "version = 4", "version = 'x'", "version = 9007199254740992", "failure_rate = 2"),
    *("\x00", "\ufeff", "# \ud7ff", "a.b.c.d = 1", "x = ", "'' = 1", '"" = 1', "\t\t", "\r"),
    *(".".join("a" * 60) + " = 1", "[" + ".".join("ab") * 40 + "]", "a" * 70_000 + " = 1"),
)
HUGE_RATE = 0.004


def policy_text(draw: Random) -> str | bytes:
    """One file."""
    chance = draw.random()
    if chance < HUGE_RATE:
        return _huge(draw)
    text = _made(draw) if chance < 0.3 else POLICY_TEXT
    for _ in range(draw.choice((0, 1, 1, 2, 4))):
        text = _changed(draw, text)
    if draw.random() < 0.15:
        return spoil_bytes(draw, text.encode(errors="replace"))
    return text


def _made(draw: Random) -> str:
    lines = [f"version = {draw.choice(('1', '2', draw.choice(VALUES)))}"]
    for n in range(draw.randrange(1, 4)):
        lines += [f"[c{n}]", f"[c{n}.fields]"]
        lines += [f"f{k} = {_field(draw)}" for k in range(draw.randrange(1, 6))]
    return "\n".join(lines)


def _field(draw: Random) -> str:
    parts = [f'type = "{draw.choice(TYPES)}"']
    if draw.random() < 0.6:
        parts.append(f'merge = "{draw.choice(MERGES)}"')
    if draw.random() < 0.4:
        parts.append(f"pattern = '{draw.choice(PATTERNS)}'")
    for _ in range(draw.randrange(3)):
        parts.append(f"{draw.choice(KEYS)} = {_value(draw)}")
    return "{ " + ", ".join(parts) + " }"


def _value(draw: Random) -> str:
    if draw.random() < 0.2:
        text = draw.choice(TEXTS).replace("\\", "\\\\").replace('"', '\\"')
        return f'"{text}"'
    return draw.choice(VALUES)


def _changed(draw: Random, text: str) -> str:
    lines = text.split("\n")
    at = draw.randrange(len(lines))
    match draw.randrange(8):
        case 0:
            lines.insert(at, draw.choice(LINES))
        case 1:
            del lines[at]
        case 2:
            lines.insert(at, lines[draw.randrange(len(lines))])
        case 3:
            lines[at] = lines[at].replace("=", f"= {_value(draw)} #", 1)
        case 4:
            lines[at] = lines[at].replace("}", f", {draw.choice(KEYS)} = {_value(draw)} }}", 1)
        case 5:
            lines.insert(at, f"f{draw.randrange(99)} = {_field(draw)}")
        case 6:
            lines[at] = lines[at].replace('type = "', f'type = "{draw.choice(TYPES)}', 1)
        case _:
            pattern = draw.choice(PATTERNS)
            lines.insert(
                at, f"p{draw.randrange(99)} = {{ type = 'string', pattern = '{pattern}' }}"
            )
    return "\n".join(lines)


def _huge(draw: Random) -> str:
    return draw.choice(
        (
            "version = 1\n" + "# x\n" * 200_000,
            "version = 1\n[c.fields]\n"
            + "\n".join(f"f{n} = {{ type = 'string' }}" for n in range(5_000)),
            "\n".join(f"[c{n}.fields]\na = {{ type = 'string' }}" for n in range(5_000)),
            "version = 1\n[c.fields]\na = { " + "x = 1, " * 30_000 + "}",
            "version = 1\nx = " + "[" * 100_000,
            "version = 1\nx = '" + "y" * 250_000 + "'",
            "a." * 60_000 + "b = 1",
            "version = 1\n[c.fields]\na = { type = 'string', choices = ["
            + ", ".join(f"'{n}'" for n in range(20_000))
            + "] }",
        )
    )
