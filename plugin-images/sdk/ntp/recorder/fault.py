"""Why something cannot be recorded."""


class RecordError(Exception):
    """What was found, and what to do. `usage`: the command was wrong, nothing was tried."""

    def __init__(self, message: str, fix: str = "", *, usage: bool = False) -> None:
        super().__init__(message)
        self.fix = fix
        self.usage = usage
