"""What a plugin says is wrong with it, checked: it stands in every beat, so it is short."""

from collections.abc import Mapping

from ntp.runner.core.border import RefusedError

MOST = 16
LONGEST = 500
"""Characters of one message."""
_LONGEST_WORD = 64


def checked(made: object) -> dict[str, str]:
    """Return reason -> message; raises RefusedError for what is neither."""
    if not isinstance(made, Mapping):
        raise RefusedError(f"conditions() returned {type(made).__name__}; give a dict of texts")
    found: dict[str, str] = {}
    for word, message in list(made.items())[:MOST]:
        if not isinstance(word, str) or not isinstance(message, str):
            raise RefusedError(f"conditions() held {word!r}: {message!r}; give a dict of texts")
        if not word.isidentifier() or len(word) > _LONGEST_WORD:
            raise RefusedError(f"conditions() named {word[:80]!r}; give one word: FeedStale")
        found[word] = message if len(message) <= LONGEST else message[: LONGEST - 1] + "…"
    return found
