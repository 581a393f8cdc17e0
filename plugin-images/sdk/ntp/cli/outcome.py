"""What went wrong with an author's command, in words and an exit code."""

import contextlib
import signal
import sys
from collections.abc import Iterator

USAGE, UNREACHABLE, REFUSED, FOUND, INTERRUPTED = 2, 3, 5, 6, 130


@contextlib.contextmanager
def guard(untouched: str = "nothing was written") -> Iterator[None]:
    """Turn what was raised into words and an exit code; SIGTERM, too, leaves nothing behind.

    Args:
        untouched: what is true where it was interrupted, or the input was bad.
    """
    from ntp.examination.fault import ConfinedError
    from ntp.layouts.fault import LayoutError
    from ntp.oci.fault import OciError
    from ntp.package.author import AuthorError
    from ntp.package.fault import NoAnswerError, PackageError

    before = signal.signal(signal.SIGTERM, _ended)
    try:
        yield
    except AuthorError as error:
        say(str(error))
        count = len(error.problems)
        say(f"{count} problem{'' if count == 1 else 's'}; {untouched}")
        sys.exit(USAGE)
    except LayoutError as error:
        say(str(error))
        sys.exit(USAGE)
    except ConfinedError as error:
        say(f"error: {error}" + (f"\n  fix: {error.fix}" if error.fix else ""))
        sys.exit(FOUND if error.plugins else REFUSED)
    except OciError as error:
        say(f"error: {error}" + (f"\n  fix: {error.fix}" if error.fix else ""))
        sys.exit(UNREACHABLE if error.transient else REFUSED)
    except PackageError as error:
        what, _, fix = str(error).rpartition("; ")
        say(f"error: {what}\n  fix: {fix}" if what else f"error: {error}")
        sys.exit(UNREACHABLE if isinstance(error, NoAnswerError) else REFUSED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        say(f"error: {where}{(error.strerror or str(error)).lower()}")
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        say(f"interrupted; {untouched}")
        sys.exit(INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, before)


def _ended(number: int, _: object) -> None:
    sys.exit(128 + number)


def say(text: str) -> None:
    """Print to stderr: the talk. Results go to stdout."""
    # Progress may stand in the line.
    start = "\r\033[K" if sys.stderr.isatty() else ""
    print(f"{start}{text}", file=sys.stderr, flush=True)
