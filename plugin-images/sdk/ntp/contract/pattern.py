"""Which regular expressions a stranger may make us run: Python's engine tries every way to match."""

import re
import warnings

MAX_UNBOUNDED = 2
MAX_VARIABLE = 8
MAX_LENGTH = 500
LONG = 32
"""A repetition up to more than this counts as unbounded."""

_TOKEN = re.compile(
    r"(?P<atom>\\[^0-9]|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\\[\](){}*+?|])"
    r"|(?P<open>\((?:\?:)?)(?!\?)|(?P<close>\))|(?P<or>\|)"
    r"|(?P<quantifier>[*+?]|\{(?P<least>[0-9]{1,4})(?P<comma>,(?P<most>[0-9]{0,4}))?\})(?P<lazy>\??)"
)


def is_tame(pattern: str) -> bool:
    """Whether matching takes time that is bounded by a small power of the text's length.

    Tame is: single characters may repeat, groups may only be optional, and few of them; no reference
    back and no look around. `(a+)+$` is not: 30 characters keep the engine busy for minutes.
    """
    if len(pattern) > MAX_LENGTH:
        return False
    at = unbounded = variable = 0
    before = ""
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        if token is None:
            return False
        kind = token.lastgroup if token["quantifier"] is None else "quantifier"
        if kind == "quantifier":
            optional = token["quantifier"] == "?"
            if before not in {"atom", "close"} or (before == "close" and not optional):
                return False
            exact = token["least"] is not None and token["comma"] is None
            most = int(token["most"] or token["least"] or 0)
            endless = token["quantifier"] in {"*", "+"} or (not exact and token["most"] == "")
            unbounded += endless or (not exact and most > LONG)
            variable += not exact
        before = str(kind)
        at = token.end()
    return unbounded <= MAX_UNBOUNDED and variable <= MAX_VARIABLE and _compiles(pattern)


def _compiles(pattern: str) -> bool:
    with warnings.catch_warnings():
        # What may mean something else tomorrow is not taken today: `[[]`.
        warnings.simplefilter("error", FutureWarning)
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError, FutureWarning):
            return False
    return True
