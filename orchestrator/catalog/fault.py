"""What is wrong with a plugin, before it is known which entries asked for it."""

from collections.abc import Iterable
from dataclasses import dataclass

from ntp.contract.problem import Problem
from orchestrator.spec.model import Wanted


@dataclass(frozen=True, slots=True)
class Fault:
    """`place`: file, line, column inside the plugin's own files; None: it stands at the entry, or
    where that names an image.
    """

    message: str
    fix: str
    place: tuple[str, int, int] | None = None

    def at(self, wanted: Wanted) -> Problem:
        where = wanted.image_place or wanted.place
        file, line, column = self.place or (where.file, where.line, where.column)
        return Problem(file, line, column, self.message, self.fix, wanted.name)


class FaultError(Exception):
    """Carries every fault of one plugin to whoever knows the entries."""

    reason = "CannotBeExamined"
    """For status and events, where the fault is told by them."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = faults

    def at(self, wanted: Wanted) -> Iterable[Problem]:
        return [fault.at(wanted) for fault in self.faults]


class ImportFaultError(FaultError):
    """The file did not survive its import, or is no plugin: what the runner says of one, too."""

    reason = "ImportFailed"
