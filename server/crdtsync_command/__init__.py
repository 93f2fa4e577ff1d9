"""The ``crdtsync`` script. It stands outside of the library for the sake of Ctrl-C alone.

Importing any part of ``crdtsync`` imports all that the library needs, which takes long
enough for a person to press Ctrl-C meanwhile. Nothing here is imported before ``main``
is ready for that. The folder is the server's only because the library's is one package.
"""

INTERRUPTED = 130
"""The exit code of ``crdtsync.cli.failures``, which cannot be asked yet."""


def main() -> None:
    """Entry point: a Ctrl-C before the command runs ends it as one during its run does."""
    try:
        from crdtsync.cli import main as run

        run()
    except KeyboardInterrupt:
        import sys

        # No option has been read, so the reader's language is not known.
        print("\nStopped. Nothing is lost: what was saved stays on this device.", file=sys.stderr)
        sys.exit(INTERRUPTED)
