"""What a check found."""

from dataclasses import dataclass
from enum import StrEnum

from ntp.examination.order import At


class Status(StrEnum):
    PASSED = "passed"
    WARNED = "warning"
    FAILED = "failed"
    SKIPPED = "not judged"


@dataclass(frozen=True, slots=True)
class Finding:
    """`at`: the first tick that it is about. `fix`: what to do, where something is to be done."""

    name: str
    status: Status
    words: str
    at: At | None = None
    fix: str = ""

    def document(self) -> dict[str, object]:
        """Return it as JSON has it."""
        at = None if self.at is None else {
            "symbol": self.at.symbol, "number": self.at.number, "id": self.at.id,
            "time": None if self.at.time is None else self.at.time.isoformat().replace("+00:00", "Z"),
        }  # fmt: skip
        return {
            "name": self.name,
            "passed": self.status is not Status.FAILED,
            "status": self.status.value,
            "words": self.words,
            "at": at,
            "fix": self.fix,
        }
