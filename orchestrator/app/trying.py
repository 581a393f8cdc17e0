"""Whether a release of the chart works: a tick of a replayed recording has to become a signal."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator.app.reach import Reached
from orchestrator.cluster.kinds import Body, name_of
from orchestrator.control import client
from orchestrator.errors import ActionError, ConflictError, UnreachableError
from orchestrator.store.kubernetes.plugin_sets import PLUGIN_SET

if TYPE_CHECKING:
    from orchestrator.cluster.cluster import Cluster

Plugins = Sequence[Mapping[str, Any]]
Progress = Callable[[str], None]
WITHIN_S: Final = 200.0
"""For all of it. The pod has 300 s (helm/ntp/templates/_jobs.tpl), from before its image is there; one that takes longer
is ended in the middle."""
LOOK_S: Final = 0.5
ANSWER_S: Final = 10.0
ENDS: Final = "ntp.dev/try-ends"
"""An annotation: until when, as seconds since 1970, whoever made it may still be trying."""
ENDING_S: Final = 60.0
"""For the last look and for the removal."""
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
        ConflictError: another try of this release runs.
        ActionError: no signal came in time, or not all plugins are ready.
    """
    ends = time.monotonic() + WITHIN_S
    there = _reached()
    name = f"{project}-try"
    try:
        found = {
            name_of(each): each
            for each in there.ask(lambda cluster: cluster.list(PLUGIN_SET)).items
        }
        if name in found:
            if (left_s := may_run_s(found[name], time.time())) > 0:
                raise ConflictError(_runs(name, left_s))
            progress(f"{name} is left of a try that was cut off, and removed")
            there.ask(lambda cluster: cluster.delete(PLUGIN_SET, name))
            wait(leader, _remaining, ends, progress)
        if theirs := found.keys() - {name}:
            progress(
                f"the namespace has plugins ({', '.join(sorted(theirs))}): they have to be ready"
            )
            wait(leader, _unready, ends, progress)
        else:
            _signalled(there, name, ends, progress)
        progress("it works")
    finally:
        there.close()


def may_run_s(body: Mapping[str, Any], now: float) -> float:
    """Return how much longer a try may run that added this PluginSet; none is left where it is not said."""
    said = (body["metadata"].get("annotations") or {}).get(ENDS, "")
    return min(float(said) - now, WITHIN_S + ENDING_S) if said.isdecimal() else 0.0


def _runs(name: str, left_s: float) -> str:
    until = datetime.fromtimestamp(time.time() + left_s, UTC)
    return (
        f"{name} is there: another try of this release runs, or was cut off\n"
        f"  fix: wait for its end; from {until:%H:%M:%S} UTC on it is taken for left, and removed by the next try"
    )


def _signalled(there: Reached, name: str, ends: float, progress: Progress) -> None:
    # Who is ended while it is being added goes on to the removal at once, which has to come second.
    order = asyncio.Lock()
    until = time.time() + ends - time.monotonic() + ENDING_S
    body = PLUGIN_SET.body(name, metadata={"annotations": {ENDS: f"{until:.0f}"}}, spec=SPEC)
    is_ours = True

    async def added(cluster: "Cluster") -> Body:
        async with order:
            return await cluster.create(PLUGIN_SET, body)

    async def removed(cluster: "Cluster") -> object:
        async with order:
            return await cluster.delete(PLUGIN_SET, name)

    try:
        try:
            there.ask(added)
        except ConflictError as error:
            is_ours = False
            raise ConflictError(_runs(name, WITHIN_S + ENDING_S)) from error
        wait(leader, _unsignalled, ends, progress)
    finally:
        if is_ours:
            there.ask(removed)


def _remaining(plugins: Plugins) -> str:
    left = {each["name"] for each in plugins} & {SOURCE, STRATEGY}
    return f"{', '.join(sorted(left))}: still there" if left else ""


def _unready(plugins: Plugins) -> str:
    lacking = [f"{each['name']}: {each['message']}" for each in plugins if not each["ready"]]
    if not plugins:
        return "no plugin was applied"
    return "; ".join(lacking)


def _unsignalled(plugins: Plugins) -> str:
    ours = {each["name"]: each for each in plugins}
    if STRATEGY not in ours:
        return "the controller did not take it up"
    if ours[STRATEGY].get("signal"):
        return ""
    return "; ".join(
        f"{name}: {ours[name]['message']}" for name in (SOURCE, STRATEGY) if name in ours
    )


def _reached() -> Reached:
    return Reached(None, None, Path(tempfile.gettempdir()), within_s=ANSWER_S)


@contextmanager
def leader() -> Iterator[Path]:
    """A socket that leads to the leader of this moment."""
    there = _reached()
    try:
        yield there.socket()
    finally:
        there.close()


def wait(
    way: Callable[[], AbstractContextManager[Path]],
    lacking: Callable[[Plugins], str],
    ends: float,
    progress: Progress,
) -> None:
    """Ask for the plugins until nothing is lacking; each thing that is, is said once.

    Args:
        way: to the controller, found anew after each time that it led nowhere.
        lacking: what the plugins lack, in words.
        ends: when to give up, by the monotonic clock.
        progress: called with one line at a time.

    Raises:
        ActionError: something was lacking, or nobody answered, for too long.
    """
    said = ""
    while True:
        # A leader may be followed by another meanwhile, and one that was just installed is not there yet.
        try:
            with way() as socket:
                while words := lacking(client.ask(socket, "status", within_s=ANSWER_S)["plugins"]):
                    said = _told(words, said, ends, progress)
        except UnreachableError as error:
            said = _told(str(error), said, ends, progress)
        else:
            return


def _told(words: str, said: str, ends: float, progress: Progress) -> str:
    """Say what is lacking, once, and pause. ActionError: it lacked too long."""
    if words != said:
        progress(words)
    if time.monotonic() > ends:
        raise ActionError(f"not within {WITHIN_S:.0f} s: {words}", reason="NotInTime")
    time.sleep(LOOK_S)
    return words
