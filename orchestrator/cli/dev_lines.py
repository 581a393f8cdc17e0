"""What `dev` prints: a line for each thing that happens; on a terminal indicators move below them."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from orchestrator.cli.output import console, emit_one
from orchestrator.cli.words import replay_of, signal_in_full
from orchestrator.errors import Problem

if TYPE_CHECKING:
    from rich.status import Status

INDICATORS_S = 10.0
"""Between two lines of a plugin's indicators where there is no terminal."""
_STYLES = {"broken": "red", "failed": "red", "refused": "red", "ready": "green", "signal": "cyan"}


class Lines:
    def __init__(self, output: str) -> None:
        self._output = output
        self._out = console()
        self._status: Status | None = None
        self._told: dict[str, float] = {}

    def __enter__(self) -> Self:
        if self._output == "table" and self._out.is_terminal:
            from rich.status import Status

            self._status = Status("…", console=self._out)
            self._status.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def tell(self, event: Mapping[str, Any]) -> None:
        if self._output != "table":
            emit_one(event, self._output)
            return
        if event["event"] == "indicators" and not self._is_due(event):
            return
        at = datetime.fromisoformat(event["at"]).astimezone().strftime("%H:%M:%S")
        first, *more = words(event).splitlines() or [""]
        style = _STYLES.get(event["event"])
        for line in (f"{at} {first}", *(f"         {each}" for each in more)):
            self._out.print(line, style=style, markup=False, soft_wrap=True)

    def _is_due(self, event: Mapping[str, Any]) -> bool:
        """Whether indicators are due for a line: on a terminal they are shown below instead."""
        if self._status is not None:
            from rich.text import Text

            self._status.update(Text(words(event)))
            return False
        now = time.monotonic()
        due = now - self._told.get(event["name"], -INDICATORS_S) >= INDICATORS_S
        if due:
            self._told[event["name"]] = now
        return due


def words(event: Mapping[str, Any]) -> str:
    """Return an event as a person reads it, in one line or several."""
    return _WORDS[event["event"]](event)


def _watching(event: Mapping[str, Any]) -> str:
    names = ", ".join(event["names"]) or "no plugin"
    begun = "which is started now and taken down at the end" if event["started"] else "which runs"
    return f"watching {names} in project {event['project']}, {begun}; Ctrl-C ends it"


def _broken(event: Mapping[str, Any]) -> str:
    told = [str(Problem(**each)) for each in event["problems"]]
    return "\n".join([*told, "not applied; what ran runs on"])


def _ready(event: Mapping[str, Any]) -> str:
    took = "" if event["seconds"] is None else f" {event['seconds']:.2f} s after the save"
    told = [f"{event['name']} ready{took}"]
    if event["replayed"]:
        told.append(f"replayed {replay_of(event['replayed'])}")
    if event["indicators"]:
        told.append(_figures(event["indicators"]))
    return "\n".join(told)


def _state(event: Mapping[str, Any]) -> str:
    message = f": {event['message']}" if event["message"] else ""
    return f"{event['name']} {event['state']}{message}"


def _output(event: Mapping[str, Any]) -> str:
    mark = "" if event["stream"] == "stdout" else f"[{event['stream']}] "
    return f"{event['name']} | {mark}{event['text']}"


def _figures(indicators: Mapping[str, Mapping[str, float]]) -> str:
    return "   ".join(
        f"{symbol}: {', '.join(f'{name} {value:.6g}' for name, value in values.items())}"
        for symbol, values in indicators.items()
    )


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "watching": _watching,
    "saved": lambda event: f"saved {', '.join(event['files'])}",
    "unchanged": lambda _: "the same as what runs",
    "applied": lambda event: "\n".join(
        f"{each['name']}: {each['do']}, {each['cause']}" for each in event["changes"]
    ),
    "ready": _ready,
    "broken": _broken,
    "failed": _state,
    "state": _state,
    "returned": lambda _: "what ran before runs again",
    "refused": lambda event: f"refused: {event['message']}",
    "note": lambda event: str(event["message"]),
    "signal": lambda event: f"{event['name']} signals {signal_in_full(event['signal'])}",
    "indicators": lambda event: f"{event['name']} {_figures(event['indicators'])}",
    "output": _output,
}
