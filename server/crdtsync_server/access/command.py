"""``crdtsync token``. Importing this needs no server packages; running it does."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from crdtsync.cli.failures import BAD_INPUT, NEEDS_PERSON, OK, Failure
from crdtsync.cli.options import Lang
from crdtsync.cli.texts import say
from crdtsync_server.access.words import tell

SecretFile = Annotated[
    Path | None,
    typer.Option(
        "--secret-file",
        envvar="CRDTSYNC_JWT_SECRET_FILE",
        metavar="FILE",
        help="The HS256 secret, as `crdtsync token new-secret` writes it.",
    ),
]
Issuer = Annotated[
    str | None,
    typer.Option("--issuer", envvar="CRDTSYNC_JWT_ISSUER", help="Who issues the token (iss)."),
]
Audience = Annotated[
    str | None,
    typer.Option(
        "--audience", envvar="CRDTSYNC_JWT_AUDIENCE", help="The service it is made for (aud)."
    ),
]


def register(app: typer.Typer) -> None:
    """Add ``token`` to the ``crdtsync`` command."""
    token = typer.Typer(
        name="token",
        help="Make, check and take back the tokens that people sign in with.",
        no_args_is_help=True,
    )
    token.callback(invoke_without_command=True)(_make)
    token.command("new-secret")(_new_secret)
    token.command("check")(_check)
    token.command("revoke")(_revoke)
    app.add_typer(token, name="token")


def _need_packages(lang: str) -> None:
    if importlib.util.find_spec("jwt") is None:
        raise Failure(say("server_missing", lang), BAD_INPUT)


def _make(
    context: typer.Context,
    user: Annotated[
        str | None, typer.Option("--user", "-u", metavar="NAME", help="Whose token it is.")
    ] = None,
    roles: Annotated[
        str, typer.Option(metavar="ROLE,…", help="Their roles, as the policy names them.")
    ] = "",
    spaces: Annotated[
        str | None,
        typer.Option(metavar="SPACE,…", help='The spaces that it opens; "*" opens all.'),
    ] = None,
    expires: Annotated[
        str, typer.Option(metavar="TIME", help="How long it is good: 30m, 8h, 7d.")
    ] = "8h",
    secret_file: SecretFile = None,
    private_key: Annotated[
        Path | None,
        typer.Option(
            "--private-key",
            envvar="CRDTSYNC_JWT_PRIVATE_KEY",
            metavar="FILE",
            help="A private key in PEM form: RSA makes RS256, P-256 makes ES256.",
        ),
    ] = None,
    issuer: Issuer = None,
    audience: Audience = None,
    lang: Lang = "en",
) -> None:
    """Make a token for development, and print nothing but the token.

    crdtsync token --user kim --roles nurse --spaces ward-3 --secret-file secret
    """
    if context.invoked_subcommand is not None:
        return
    _need_packages(lang)
    from crdtsync_server.access import making

    if user is None:
        raise Failure(tell("no_user", lang), BAD_INPUT)
    if not spaces:
        raise Failure(tell("no_spaces", lang), BAD_INPUT)
    if (secret_file is None) == (private_key is None):
        raise Failure(tell("one_key", lang), BAD_INPUT)
    lasts_s = making.parse_duration_s(expires)
    if lasts_s is None:
        raise Failure(tell("bad_duration", lang, text=expires), BAD_INPUT)
    token = making.make_token(
        making.signing_key(secret_file, private_key),
        user=user,
        roles=making.parts(roles),
        spaces="*" if spaces.strip() == "*" else making.parts(spaces),
        lasts_s=lasts_s,
        issuer=issuer,
        audience=audience,
    )
    typer.echo(token)


def _new_secret(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
    lang: Lang = "en",
) -> None:
    """Write a good secret to FILE, for nobody else to read."""
    _need_packages(lang)
    from crdtsync_server.access import making

    try:
        making.write_secret(file)
    except FileExistsError:
        raise Failure(tell("secret_exists", lang, file=file), BAD_INPUT) from None
    typer.echo(tell("secret_written", lang, file=file), err=True)


def _check(
    token: Annotated[str, typer.Argument(help="The token; - reads it from standard input.")],
    secret_file: SecretFile = None,
    public_key: Annotated[
        Path | None,
        typer.Option(
            "--public-key",
            envvar="CRDTSYNC_JWT_PUBLIC_KEY",
            metavar="FILE",
            help="The public key in PEM form.",
        ),
    ] = None,
    issuer: Issuer = None,
    audience: Audience = None,
    revoked: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The server's file of revocations.")
    ] = None,
    lang: Lang = "en",
) -> None:
    """Say what is in a token, and whether it is good (exit code 0) or not (1)."""
    _need_packages(lang)
    from crdtsync_server.access import checking
    from crdtsync_server.access.settings import AccessSettings

    settings = AccessSettings(
        jwt_secret_file=secret_file,
        jwt_public_key=public_key,
        jwt_issuer=issuer,
        jwt_audience=audience,
        revoked=revoked,
    )
    settings.check()
    good = checking.tell_of(checking.given(token), settings, lang)
    raise typer.Exit(OK if good else NEEDS_PERSON)


def _revoke(
    file: Annotated[
        Path,
        typer.Option(
            "--file",
            envvar="CRDTSYNC_REVOKED",
            metavar="FILE",
            help="The server's file of revocations; it is made if it is not there.",
        ),
    ],
    token: Annotated[
        str | None,
        typer.Argument(help="The token, or its jti; - reads it from standard input."),
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", "-u", metavar="NAME", help="All of this user's tokens.")
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Only those made before: now, or a time like 2026-03-01T12:00:00Z."
        ),
    ] = None,
    lang: Lang = "en",
) -> None:
    """Take back a token, or a user's tokens: adds a line to the server's file."""
    _need_packages(lang)
    from crdtsync_server.access import checking, revoking

    if (token is None) == (user is None):
        raise Failure(tell("one_thing", lang), BAD_INPUT)
    if before is not None and user is None:
        raise Failure(tell("before_of_user", lang), BAD_INPUT)
    if token is not None:
        line = revoking.line_of_token(checking.given(token), lang)
    else:
        assert user is not None
        line = revoking.line_of_user(user, before)
    revoking.add_line(file, line)
    typer.echo(tell("revoked", lang, file=file, line=line), err=True)
