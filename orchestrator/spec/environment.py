"""What the user's `.env` and environment say: the PLUGIN_* names of the first design."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from orchestrator.errors import Problem

if TYPE_CHECKING:
    from orchestrator.spec.detour import Detours

DEFAULT_MEMORY = "512MB"
DEFAULT_TIMEOUT = "30s"
SHORTEST_TIMEOUT = timedelta(milliseconds=100)
LONGEST_TIMEOUT = timedelta(hours=1)
LEAST_MEMORY, MOST_MEMORY = 16 << 20, 16 << 40

_SWITCH = {
    "true": True, "1": True, "yes": True, "on": True,
    "false": False, "0": False, "no": False, "off": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fallback:
    """What an entry has that says nothing itself. `memory` in bytes."""

    memory: int
    timeout: timedelta
    sandbox: bool
    detours: "Detours"


def fallback(environment: Mapping[str, str], problems: list[Problem]) -> Fallback:
    """Read PLUGIN_MAX_MEMORY, PLUGIN_TIMEOUT, PLUGIN_SANDBOX, NTP_EGRESS_MAP; append what cannot be read."""
    # A command that looks at settings alone needs nothing of it.
    from orchestrator.spec import detour

    return Fallback(
        _memory(environment, problems),
        _timeout(environment, problems),
        switch(environment, "PLUGIN_SANDBOX", default=True, problems=problems),
        detour.read(environment, problems),
    )


def switch(
    environment: Mapping[str, str], name: str, *, default: bool, problems: list[Problem]
) -> bool:
    """Read true or false, 1 or 0, yes or no, on or off; absent and empty are the default."""
    text = environment.get(name, "").strip()
    if not text:
        return default
    found = _SWITCH.get(text.lower())
    if found is None:
        from orchestrator.spec import quantity

        problems.append(_problem(name, f"was {quantity.shown(text)}", "write true or false"))
        return default
    return found


def parse(content: bytes, *, file: str = ".env") -> tuple[dict[str, str], list[Problem]]:
    """Return the assignments of a .env file, as written: `${X}` in a value is not replaced."""
    # The only reader of .env, and it is not always there: imported when one is.
    from dotenv.parser import parse_stream

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return {}, [Problem(file, line, 1, "the file is not UTF-8", "save it as UTF-8")]
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            fix = "write NAME=value, in quotes if it has spaces"
            line = binding.original.line
            problems.append(Problem(file, line, 1, "the line is no assignment", fix))
        elif binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values, problems


def _memory(environment: Mapping[str, str], problems: list[Problem]) -> int:
    from orchestrator.spec import quantity

    text = environment.get("PLUGIN_MAX_MEMORY", "").strip() or DEFAULT_MEMORY
    try:
        return quantity.memory(text, least=LEAST_MEMORY, most=MOST_MEMORY)
    except quantity.QuantityError as error:
        problems.append(_problem("PLUGIN_MAX_MEMORY", str(error), error.fix))
        return quantity.memory(DEFAULT_MEMORY)


def _timeout(environment: Mapping[str, str], problems: list[Problem]) -> timedelta:
    from orchestrator.spec import quantity

    text = environment.get("PLUGIN_TIMEOUT", "").strip() or DEFAULT_TIMEOUT
    try:
        return quantity.duration(text, least=SHORTEST_TIMEOUT, most=LONGEST_TIMEOUT)
    except quantity.QuantityError as error:
        problems.append(_problem("PLUGIN_TIMEOUT", str(error), error.fix))
        return quantity.duration(DEFAULT_TIMEOUT)


def _problem(name: str, message: str, fix: str) -> Problem:
    return Problem("environment", 0, 0, f"{name} {message}", f"{fix}, in .env or the environment")
