"""What differs between two declared states as texts, for people to read."""

import difflib
import io
from collections.abc import Iterator, Sequence

Sources = Sequence[tuple[str, str]]


def texts(old: Sources, new: Sources, *, names: tuple[str, str]) -> Iterator[str]:
    """Yield the lines of a unified diff of all files, each line with its end."""
    before, after = dict(old), dict(new)
    for file in dict.fromkeys([*before, *after]):
        for line in difflib.unified_diff(
            _lines(before.get(file)),
            _lines(after.get(file)),
            fromfile=file if file in before else "/dev/null",
            tofile=file if file in after else "/dev/null",
            fromfiledate=names[0],
            tofiledate=names[1],
        ):
            yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: str | None) -> list[str]:
    """As `diff` counts lines: by newline alone, where splitlines knows a dozen ends."""
    return [] if text is None else list(io.StringIO(text, newline="\n"))
