"""What was found in a plugin, and what it asks for."""

from dataclasses import dataclass, field
from enum import StrEnum

from ntp.contract.manifest import Manifest
from ntp.contract.problem import Problem


class Severity(StrEnum):
    ERROR = "error"
    """It will not work, or would break those who use it."""
    WARNING = "warning"
    """Whoever reads the code before running it would ask about it."""
    NOTE = "note"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Print as `file:line:column: severity: message [rule]`, then `fix:`; lines and columns from 1, 0 is unknown.

    Its words may be a stranger's: what would steer a terminal is written out.
    """

    file: str
    line: int
    column: int
    severity: Severity
    rule: str
    message: str
    fix: str

    def __post_init__(self) -> None:
        for name in ("file", "message", "fix"):
            object.__setattr__(self, name, _plain(getattr(self, name)))

    @classmethod
    def of(cls, problem: Problem, rule: str) -> "Finding":
        return cls(
            problem.file,
            problem.line,
            problem.column,
            Severity.ERROR,
            rule,
            problem.message,
            problem.fix,
        )

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.severity}: {self.message} [{self.rule}]\n  fix: {self.fix}"


@dataclass(frozen=True, slots=True)
class Permissions:
    """What an entry of plugins.yaml gives the plugin unless it says otherwise.

    Attributes:
        hosts: host:port, of `egress` and of the addresses that are defaults of its config.
        secrets: names that an entry has to give.
    """

    hosts: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """`manifest`: None where it cannot be read. `findings`: sorted by place."""

    path: str
    manifest: Manifest | None
    findings: tuple[Finding, ...]
    permissions: Permissions = field(default_factory=Permissions)

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)

    def passed(self, *, strict: bool = False) -> bool:
        """Whether it has no errors; `strict`: nor warnings."""
        return not self.count(Severity.ERROR) and not (strict and self.count(Severity.WARNING))


def _plain(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
