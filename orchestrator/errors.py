"""Everything that can go wrong, as one tree; the number is the exit code.

NtpError (1)
├── ConfigError (2)        the user's files or options
├── UnreachableError (3)   engine, broker, controller did not answer; retried
├── ConflictError (4)      somebody else changed it meanwhile
└── ActionError (5)        refused, or not ready in time; backed off
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ntp.contract.problem import Problem

__all__ = [
    "ActionError",
    "ConfigError",
    "ConflictError",
    "NtpError",
    "Problem",
    "UnreachableError",
    "ungrouped",
]


class NtpError(Exception):
    exit_code = 1


class ConfigError(NtpError):
    """All problems of the input at once."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnreachableError(NtpError):
    exit_code = 3


class ConflictError(NtpError):
    exit_code = 4


class ActionError(NtpError):
    """`reason` is a CamelCase word for status and events; `permanent`: retrying cannot help.

    `problem`: the same with its parts, where a line of the user's files is the cause.
    """

    exit_code = 5

    def __init__(
        self,
        message: str,
        *,
        reason: str = "Refused",
        permanent: bool = False,
        problem: Problem | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.permanent = permanent
        self.problem = problem


def _first(group: BaseExceptionGroup) -> NtpError | None:
    """Return the first of the errors that a group of tasks ended with; None: one of them is a bug."""
    ours, others = group.split(NtpError)
    if ours is None or others is not None:
        return None
    found: BaseException = ours
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found if isinstance(found, NtpError) else None


@contextmanager
def ungrouped() -> Iterator[None]:
    """A block with groups of tasks: errors of ours alone end it with the first of them, a bug as it is."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise _first(group) or group from None
