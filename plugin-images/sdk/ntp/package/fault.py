"""Why a plugin's wheels cannot be had."""


class PackageError(Exception):
    """`reason`: a CamelCase word for status and events. `permanent`: retrying cannot help."""

    def __init__(self, message: str, *, reason: str, permanent: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.permanent = permanent
