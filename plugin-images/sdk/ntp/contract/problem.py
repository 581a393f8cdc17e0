"""One mistake of a user, with its place and what to do about it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Print as `file:line:column: message`, then `fix:`; lines and columns start at 1, 0 is unknown."""

    file: str
    line: int
    column: int
    message: str
    fix: str
    entry: str | None = None
    """The plugin entry that this concerns, or None for the whole file."""

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f":{self.line}:{self.column}"
        return f"{place}: {self.message}\n  fix: {self.fix}"
