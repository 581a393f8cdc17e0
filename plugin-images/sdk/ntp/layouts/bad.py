"""Rows that are none: which, why, and what was done with them."""

from dataclasses import dataclass, field

KEPT = 20
"""Bad rows that are kept in full; the others are counted."""
SHOWN = 60
"""Characters of a cell that are shown."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that was left out.

    Attributes:
        line: of the file, from 1; of a Parquet file its row.
        column: where in the line the cell begins, in characters from 1; 1 where it is about the line.
        name: the column's name in the file, or `column 3`; empty where it is about the whole line.
        value: the cell as it stands in the file, shortened.
        why: what was found, in words; `done`: what was done with it.
    """

    file: str
    line: int
    column: int
    name: str
    value: str
    why: str
    done: str = "the row is left out"

    @property
    def found(self) -> str:
        """Where, and what; without what was done."""
        of = f" ({self.name})" if self.name else ""
        return f"{self.file}:{self.line}:{self.column}: {self.why}{of}"

    def __str__(self) -> str:
        return f"{self.found}; {self.done}"


@dataclass(slots=True)
class BadRows:
    """How many rows were left out, and the first of them.

    Attributes:
        count: of all files.
        first: the first `KEPT`, in the order in which they were read.
        moved: rows that stood behind a later one, and were put in their place: no row is lost.
    """

    count: int = 0
    moved: int = 0
    first: list[BadRow] = field(default_factory=list)
    by_file: dict[str, int] = field(default_factory=dict)

    def note(self, row: BadRow) -> None:
        self.count += 1
        self.by_file[row.file] = self.by_file.get(row.file, 0) + 1
        if len(self.first) < KEPT:
            self.first.append(row)

    def lines(self) -> list[str]:
        """Return what to tell, a line each; nothing where all was well."""
        told = [str(row) for row in self.first]
        if self.count > len(self.first):
            of = ", ".join(f"{file} {count:,}" for file, count in self.by_file.items())
            told.append(f"… {self.count:,} bad rows in all: {of}")
        if self.moved:
            told.append(
                f"{self.moved:,} row{'' if self.moved == 1 else 's'} stood behind a later one;"
                " put in order of time"
            )
        return told

    def __str__(self) -> str:
        return "\n".join(self.lines())


def shown(value: object) -> str:
    """Return a cell as words can hold it: quoted, control characters told, cut."""
    text = value if isinstance(value, str) else str(value)
    return repr(text) if len(text) <= SHOWN else f"{text[:SHOWN]!r}… ({len(text):,} characters)"
