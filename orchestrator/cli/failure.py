"""How a failure reaches a person: words on stderr, an exit code, no traceback.

0 done · 1 bug · 2 usage or config · 3 unreachable · 4 conflict · 5 refused or not ready in time ·
6 differs (plan, diff) · 130 interrupted.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from orchestrator.errors import ConfigError, NtpError

INTERRUPTED = 130


@contextmanager
def guard() -> Iterator[None]:
    """Turn what was raised into the exit code of the process."""
    try:
        yield
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
        # The reader (head, less) has gone. What is still buffered must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


def say(text: str) -> None:
    """Print to stderr: the talk. Results go to stdout."""
    print(text, file=sys.stderr, flush=True)


def report(error: ConfigError) -> None:
    """Print every problem with its place and fix, and a line that counts them."""
    for problem in error.problems:
        say(str(problem))
    count = len(error.problems)
    say(f"{count} problem{'' if count == 1 else 's'}; nothing was changed")
