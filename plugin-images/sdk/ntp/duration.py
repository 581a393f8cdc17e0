"""Lengths of time as people write them: 500ms, 5s, 2m, 1h."""

import re

_FORM = re.compile(r"(-?\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}


def seconds(text: str) -> float:
    """Return the seconds of `text`; a number alone is seconds. Raises ValueError for anything else."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ValueError("write it as 500ms, 5s, 2m or 1h")
    return float(found[1]) * _UNIT_S[found[2]]
