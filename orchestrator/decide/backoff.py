"""How long to wait before the next try: exponential, capped, spread by a seed, never by chance."""

import hashlib
from datetime import timedelta

SPREAD = 0.2
"""A delay is shortened by up to this share, so that plugins that failed together do not return together."""


def delay(failures: int, *, first: timedelta, longest: timedelta, seed: str) -> timedelta:
    """Return `first * 2 ** (failures - 1)`, at most `longest`, less a spread fixed by `seed` and `failures`.

    No failure, or less: no delay. The cap is exact: no result exceeds `longest`.
    """
    if failures <= 0:
        return timedelta(0)
    doublings = min(failures - 1, 64)
    whole = longest if 2**doublings >= longest / first else first * 2**doublings
    return whole * (1 - SPREAD * _share(f"{seed}:{failures}"))


def _share(text: str) -> float:
    """Map a text to [0, 1), evenly."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
