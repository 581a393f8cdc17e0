"""Whether a release of the chart works: a tick of a replayed recording has to become a signal."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from orchestrator.app.reach import Reached
from orchestrator.cluster.kinds import name_of
from orchestrator.control import client
from orchestrator.errors import ActionError, UnreachableError
from orchestrator.store.kubernetes.plugin_sets import PLUGIN_SET

Progress = Callable[[str], None]
WITHIN_S: Final = 240.0
LOOK_S: Final = 0.5
SOURCE, STRATEGY = "try_ticks", "try_signal"
_RESOURCES: Final = {"memory": "128MB", "cpu": 0.5}
SPEC: Final = {
    "plugins": {
        "data_sources": [
            {
                "name": SOURCE,
                "plugin": "replay_data",
                # Whoever is ready late hears it, too.
                "config": {"symbols": ["BTCUSDT"], "speed": 50, "loop": True},
                "resources": _RESOURCES,
            }
        ],
        "strategies": [
            {
                "name": STRATEGY,
                "plugin": "momentum_strategy",
                "inputs": [{"from": SOURCE}],
                "config": {"lookback": 4, "threshold": 0.6},
                "resources": _RESOURCES,
            }
        ],
    }
}


def try_release(project: str, progress: Progress = lambda _: None) -> None:
    """Run a source and a strategy until it signals, and remove both.

    Where the namespace has plugins it adds none, which those would hear: then all of them have to be ready.
    What a try that was cut off has left is removed first.

    Args:
        project: the release's name.
        progress: called with one line at a time.

    Raises:
        UnreachableError: the API server does not answer.
        ActionError: no signal came in time, or not all plugins are ready.
    """
    there = Reached(None, None, Path(tempfile.gettempdir()))
    name = f"{project}-try"
    try:
        found = {
            name_of(each) for each in there.ask(lambda cluster: cluster.list(PLUGIN_SET)).items
        }
        if name in found:
            progress(f"{name} is left of a try that was cut off, and removed")
            there.ask(lambda cluster: cluster.delete(PLUGIN_SET, name))
            _wait(_remaining, progress)
        if theirs := found - {name}:
            progress(
                f"the namespace has plugins ({', '.join(sorted(theirs))}): they have to be ready"
            )
            _wait(_unready, progress)
        else:
            there.ask(lambda cluster: cluster.create(PLUGIN_SET, PLUGIN_SET.body(name, spec=SPEC)))
            try:
                _wait(_unsignalled, progress)
            finally:
                there.ask(lambda cluster: cluster.delete(PLUGIN_SET, name))
        progress("it works")
    finally:
        there.close()


def _remaining(plugins: Sequence[Mapping[str, Any]]) -> str:
    left = {each["name"] for each in plugins} & {SOURCE, STRATEGY}
    return f"{', '.join(sorted(left))}: still there" if left else ""


def _unready(plugins: Sequence[Mapping[str, Any]]) -> str:
    lacking = [f"{each['name']}: {each['message']}" for each in plugins if not each["ready"]]
    if not plugins:
        return "no plugin was applied"
    return "; ".join(lacking)


def _unsignalled(plugins: Sequence[Mapping[str, Any]]) -> str:
    ours = {each["name"]: each for each in plugins}
    if STRATEGY not in ours:
        return "the controller did not take it up"
    if ours[STRATEGY].get("signal"):
        return ""
    return "; ".join(
        f"{name}: {ours[name]['message']}" for name in (SOURCE, STRATEGY) if name in ours
    )


def _wait(lacking: Callable[[Sequence[Mapping[str, Any]]], str], progress: Progress) -> None:
    ends, said = time.monotonic() + WITHIN_S, ""
    while True:
        # A leader may be followed by another meanwhile, and one that was just installed is not there yet.
        there = Reached(None, None, Path(tempfile.gettempdir()))
        try:
            while words := lacking(client.ask(there.socket(), "status")["plugins"]):
                said = _told(words, said, ends, progress)
        except UnreachableError as error:
            said = _told(str(error), said, ends, progress)
        else:
            return
        finally:
            there.close()


def _told(words: str, said: str, ends: float, progress: Progress) -> str:
    """Say what is lacking, once, and pause. ActionError: it lacked too long."""
    if words != said:
        progress(words)
    if time.monotonic() > ends:
        raise ActionError(f"not within {WITHIN_S:.0f} s: {words}", reason="NotInTime")
    time.sleep(LOOK_S)
    return words
