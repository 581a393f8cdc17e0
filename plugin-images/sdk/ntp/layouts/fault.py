"""What stands in the way of reading a file."""

from collections.abc import Iterable
from typing import NamedTuple


class Problem(NamedTuple):
    """`found`: `file:line: what`; `fix`: what to do."""

    found: str
    fix: str

    def __str__(self) -> str:
        return f"{self.found}\n  fix: {self.fix}"


class LayoutError(ValueError):
    """Files that cannot be read as market data: every problem at once, in `problems`."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(dict.fromkeys(problems))
        super().__init__("\n".join(map(str, self.problems)))


class OrderError(LayoutError):
    """A row is older than what was already given: the file has to be sorted before it is read."""


def problem(where: str, found: str, fix: str) -> LayoutError:
    """Return an error of one problem."""
    return LayoutError([Problem(f"{where}: {found}", fix)])
