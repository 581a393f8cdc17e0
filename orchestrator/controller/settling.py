"""Whether what is looked at again and again has stayed as it is: nobody is still writing it."""


class Settling:
    """Known by its content alone: how it was written, and in how many steps, makes no difference."""

    def __init__(self) -> None:
        self._seen: object = None
        self._since = 0.0

    def stayed(self, seen: object, now: float) -> float:
        """Take a look at `now`, monotonic seconds; return for how long it has been the same."""
        if seen != self._seen:
            self._seen, self._since = seen, now
        return now - self._since
