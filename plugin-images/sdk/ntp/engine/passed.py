"""How far one symbol of one source has been let through to a book."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from ntp.contract.messages import MarketData

_REMEMBERED_IDS = 1024
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Passed:
    """Attributes:
    seq: counts within the source's incarnation.
    ids: of the ticks that share `time`, the newest event time.
    """

    incarnation: str = ""
    seq: int = 0
    time: datetime = _NEVER
    ids: list[str] = field(default_factory=list)

    def note(self, incarnation: str, seq: int, data: MarketData) -> None:
        self.incarnation, self.seq = incarnation, seq
        if data.timestamp != self.time:
            self.time, self.ids = data.timestamp, [data.id]
        elif len(self.ids) < _REMEMBERED_IDS:
            self.ids.append(data.id)
