"""How a failure reaches a person: words on stderr, an exit code, no traceback."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from orchestrator.errors import ActionError, ConfigError, NtpError

INTERRUPTED = 130
READER_GONE = 128 + signal.SIGPIPE
EXIT_CODES = {
    0: "done; for `plan`, `diff` and `schema --check`: nothing differs",
    1: "a bug of ours",
    2: "wrong usage, or problems in a file: nothing was touched",
    3: "the controller, engine or broker did not answer",
    4: "somebody else changed it meanwhile",
    5: "refused, or not ready in time",
    6: "something differs: `plan`, `diff`, `apply --dry-run`, `schema --check`",
    INTERRUPTED: "interrupted by Ctrl-C",
    READER_GONE: "whoever read the output has gone, such as `head`",
}
"""What each means; docs/reference/cli.md is made of it."""


@contextmanager
def guard() -> Iterator[None]:
    """Turn what was raised into the exit code of the process."""
    _open_streams()
    try:
        yield
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message())
        sys.exit(2)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "ntpctl"
        say(f"{where}: {error.format_message()}")
        say(f"  see: {where} --help")
        sys.exit(2)
    except click.ClickException as error:
        say(error.format_message())
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        sys.exit(INTERRUPTED)
    except ConfigError as error:
        report(error)
        sys.exit(error.exit_code)
    except NtpError as error:
        say(f"error: {error}")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader (head, less) went while what was buffered was written.
        _drop_output()
        sys.exit(READER_GONE)
    except OSError as error:
        # The machine's, not a bug: a full disk, a folder that may not be written.
        _drop_output()
        where = f"{error.filename}: " if error.filename else ""
        say(f"error: {where}{(error.strerror or str(error)).lower()}")
        sys.exit(ActionError.exit_code)


@contextmanager
def reader() -> Iterator[None]:
    """End a command where whoever reads its output (head, less) has gone.

    Inside of click and rich, that is: out of them it would come as an exit with code 1, as for a bug.
    """
    try:
        yield
    except BrokenPipeError:
        _drop_output()
        raise click.exceptions.Exit(READER_GONE) from None
    except SystemExit as ended:
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        _drop_output()
        raise click.exceptions.Exit(READER_GONE) from None


@contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """Have SIGTERM, and a terminal that is closed, end us as Ctrl-C does: with everything put away."""

    def end(number: int, frame: object) -> None:
        del number, frame
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def first_signal_waits(words: str) -> Iterator[None]:
    """Answer Ctrl-C, SIGTERM and a closed terminal with `words`, and end us once all within is done.

    The second ends it at once; each by KeyboardInterrupt.
    """
    came = False

    def wait(number: int, frame: object) -> None:
        nonlocal came
        del number, frame
        if came:
            raise KeyboardInterrupt
        came = True
        with suppress(OSError):
            # Not by print: it may be in the middle of one.
            os.write(2, words.encode())

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, wait) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def _open_streams() -> None:
    """Replace what the shell has closed (`>&-`): Python hands out None, on which every print fails."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (for the process's life)
            setattr(sys, name, nowhere)


def _drop_output() -> None:
    """What is still buffered must not raise again at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str) -> None:
    """Print to stderr: the talk. Results go to stdout."""
    print(text, file=sys.stderr, flush=True)


def agreed(question: str) -> None:
    """Ask on the terminal; a no ends the command with exit code 5."""
    if not click.confirm(question, err=True):
        say("nothing was changed")
        raise click.exceptions.Exit(ActionError.exit_code)


def report(error: ConfigError) -> None:
    """Print every problem with its place and fix, and a line that counts them."""
    for problem in error.problems:
        say(str(problem))
    count = len(error.problems)
    say(f"{count} problem{'' if count == 1 else 's'}; nothing was changed")
