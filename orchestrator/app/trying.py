"""Whether a release of the chart works: a tick of a replayed recording has to become a signal."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from orchestrator.app.reach import Reached
from orchestrator.cluster.kinds import name_of
from orchestrator.control import client
from orchestrator.errors import ActionError
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

    Args:
        project: the release's name.
        progress: called with one line at a time.

    Raises:
        UnreachableError: the API server, or the leader, does not answer.
        ActionError: no signal came in time, or not all plugins are ready.
    """
    there = Reached(None, None, Path(tempfile.gettempdir()))
    try:
        found = [
            name_of(each) for each in there.ask(lambda cluster: cluster.list(PLUGIN_SET)).items
        ]
        if found:
            progress(f"the namespace has plugins ({', '.join(found)}): they have to be ready")
            _wait(there, _unready, progress)
            return
        name = f"{project}-try"
        there.ask(lambda cluster: cluster.create(PLUGIN_SET, PLUGIN_SET.body(name, spec=SPEC)))
        try:
            _wait(there, _unsignalled, progress)
        finally:
            there.ask(lambda cluster: cluster.delete(PLUGIN_SET, name))
    finally:
        there.close()


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


def _wait(
    there: Reached, lacking: Callable[[Sequence[Mapping[str, Any]]], str], progress: Progress
) -> None:
    ends, said = time.monotonic() + WITHIN_S, ""
    while True:
        status = client.ask(there.socket(), "status")
        words = lacking(status["plugins"])
        if not words:
            progress("it works")
            return
        if words != said:
            progress(words)
            said = words
        if time.monotonic() > ends:
            raise ActionError(f"not within {WITHIN_S:.0f} s: {words}", reason="NotInTime")
        time.sleep(LOOK_S)
