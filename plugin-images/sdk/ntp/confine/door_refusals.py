"""What was refused, counted by place; a door keeps it in a file that the runtime reads."""

import os

KEYS = 64
"""Places that are counted each; the rest together."""
_REST = "(others)"


class Counts:
    """Counts by place, of a bounded number of places."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def count(self, place: str) -> None:
        if place not in self.counts and len(self.counts) >= KEYS:
            place = _REST
        self.counts[place] = self.counts.get(place, 0) + 1


class Refusals(Counts):
    """Written through to a file at each change."""

    def __init__(self, file: int) -> None:
        super().__init__()
        self._file = file
        content = os.pread(file, 1 << 20, 0)
        if content:  # a door before us, in the same life of the plugin
            import json

            try:
                self.counts = {str(key): int(count) for key, count in json.loads(content).items()}
            except (ValueError, AttributeError, TypeError):
                self.counts = {}

    def count(self, place: str) -> None:
        super().count(place)
        # Places hold neither quotes nor backslashes (`_parse`), so this is JSON.
        text = ", ".join(f'"{key}": {count}' for key, count in self.counts.items())
        content = f"{{{text}}}\n".encode()
        os.pwrite(self._file, content, 0)
        os.ftruncate(self._file, len(content))
