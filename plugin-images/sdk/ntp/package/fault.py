"""Why a plugin's wheels cannot be had."""

from typing import Self


class PackageError(Exception):
    """`reason`: a CamelCase word for status and events. `permanent`: retrying cannot help."""

    def __init__(self, message: str, *, reason: str, permanent: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.permanent = permanent

    def about(self, what: str) -> Self:
        """Return the same, said of `what`."""
        return type(self)(f"{what}: {self}", reason=self.reason, permanent=self.permanent)


class NoAnswerError(PackageError):
    """No registry said anything, so nothing is known about the requirements."""
