"""What NTP_PLUGIN_IMAGES says: the image of each bundled plugin, by digest. The chart writes it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ntp.oci import reference
from ntp.oci.fault import OciError
from orchestrator.errors import ConfigError, Problem
from orchestrator.spec import source

NAME: Final = "NTP_PLUGIN_IMAGES"
_FIX: Final = (
    f"{NAME} names a file of lines 'binance_data: registry/path@sha256:…', as the chart makes it"
)


def read(environment: Mapping[str, str], problems: list[Problem]) -> dict[str, str]:
    """Return plugin -> image. Appends all problems; without the setting there are no images."""
    named = environment.get(NAME, "").strip()
    if not named:
        return {}
    try:
        value = source.parse(Path(named).read_bytes(), file=named).value
    except OSError as error:
        what = f"the file cannot be read: {(error.strerror or str(error)).lower()}"
        problems.append(Problem(named, 0, 0, what, _FIX))
        return {}
    except ConfigError as error:
        problems += error.problems
        return {}
    if value is not None and not isinstance(value, Mapping):
        problems.append(Problem(named, 0, 0, "the file is no mapping", _FIX))
        return {}
    found = {}
    for name, image in (value or {}).items():
        try:
            if reference.parse(str(image)).digest is None:
                problems.append(Problem(named, 0, 0, f"{name}: {image} has no digest", _FIX))
            found[name] = str(image)
        except OciError as error:
            problems.append(Problem(named, 0, 0, f"{name}: {error}", error.fix or _FIX))
    return found
