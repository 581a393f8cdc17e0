"""apply and plan on a cluster: a PluginSet, written with the rights of the person who asks.

The controller says what a change would do, and what became of it; it writes no PluginSet itself.
"""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from ntp.contract.problem import Problem
from orchestrator.app.cluster_target import Target, target, write
from orchestrator.app.declaration import Declaration
from orchestrator.app.declared_spec import spec_of
from orchestrator.app.owners import owner
from orchestrator.app.reach import Reached
from orchestrator.app.text_diff import texts
from orchestrator.cluster.kinds import name_of
from orchestrator.control import client
from orchestrator.errors import ActionError, ConfigError, ConflictError
from orchestrator.store.kubernetes.plugin_sets import PLUGIN_SET, names_in
from orchestrator.store.kubernetes.written import file_of, text_of

LOOK_S: Final = 0.5
TAKEN_UP_S: Final = 45.0
"""How long a controller may take to take up a change: one that fails over needs twenty seconds."""


def preview(declared: Declaration, *, update_images: bool) -> dict[str, Any]:
    """Return what applying would do, as the leader says; problems have the places of the person's files."""
    aim = target(declared.settings)
    aim.look()
    path = aim.there.socket()
    beside = [[file_of(name_of(each)), text_of(each.get("spec") or {})] for each in aim.others]
    found = client.ask(
        path,
        "preview",
        within_s=120.0,
        sources=[*(list(each) for each in _named(declared.sources)), *beside],
        settings=_settings(aim.there),
        update_images=update_images,
    )
    aim.guard = found["guard"]
    return found


def apply(
    declared: Declaration, *, allow_deletes: bool, take_over: bool, wait: bool, deadline: float
) -> Iterator[dict[str, Any]]:
    """Write the PluginSet; yield progress, and the outcome.

    Raises:
        ConflictError: it belongs to a tool, or somebody else changed it.
        ConfigError, ActionError: the controller refuses what it says.
    """
    aim = target(declared.settings)
    if aim.before is None:
        aim.look()
    spec = spec_of(declared.sources)
    check_owner(aim, spec)
    if aim.guard and not allow_deletes:
        raise ActionError(
            f"refused: {aim.guard}\n  fix: if that is meant, apply with --allow-deletes",
            reason="GuardedDeletion",
            permanent=True,
        )
    write(aim, spec, allow_deletes=allow_deletes, take_over=take_over)
    yield from verdict([aim], guarded=not allow_deletes, wait=wait, deadline=deadline)


def verdict(
    aims: Sequence[Target], *, guarded: bool, wait: bool, deadline: float
) -> Iterator[dict[str, Any]]:
    """Wait until what was written is taken up and, with `wait`, is ready; yield progress, and one outcome of all.

    Not `guarded`: a refusal that a deletion is guarded is one of before that was allowed.

    Raises:
        ConfigError, ActionError: the controller refuses it.
    """
    status = _taken_up(aims, guarded=guarded)
    if not wait:
        yield {"result": outcome(status, [])}
        return
    names = {name for aim in aims for name in names_in(aim.spec_before)}
    yield from _awaited(aims[0].there, names, deadline)


def _awaited(there: Reached, names: Collection[str], deadline: float) -> Iterator[dict[str, Any]]:
    status = client.ask(there.socket(), "status")
    own = [each for each in status["plugins"] if each["name"] in names]
    running = [each["name"] for each in own if each["state"] != "Stopped"]
    if not running:
        yield {"result": outcome(status, own, ready=True)}
        return
    stopped = [each for each in own if each["state"] == "Stopped"]
    for message in client.call(there.socket(), "wait", names=running, deadline=deadline):
        if "result" in message:
            message["result"]["plugins"] += stopped
        yield message


def _taken_up(aims: Sequence[Target], *, guarded: bool) -> Mapping[str, Any]:
    """Return a status once the controller has read all that was written; raise what it refuses."""
    ends = time.monotonic() + TAKEN_UP_S
    while True:
        told = [status for aim in aims if (status := _read(aim, guarded=guarded)) is not None]
        if len(told) == len(aims):
            refusals = [_refusal(aim, status) for aim, status in zip(aims, told, strict=True)]
            # What refuses one refuses all: where it is not told of each, it was of before the others were read.
            if None not in refusals:
                raise _together([each for each in refusals if each is not None])
            return told[-1]
        if time.monotonic() > ends:
            names = ", ".join(aim.name for aim in aims)
            raise ActionError(
                f"no controller has taken up PluginSet {names} within {TAKEN_UP_S:.0f} s; it is written\n"
                "  fix: `ntpctl --context … status`",
                reason="NotTakenUp",
            )
        time.sleep(LOOK_S)


def _read(aim: Target, *, guarded: bool) -> Mapping[str, Any] | None:
    """Return the status that is told of what was written; None: none yet."""
    body = aim.there.ask(lambda cluster: cluster.get(PLUGIN_SET, aim.name))
    if body is None or aim.before is None:
        raise ConflictError(f"PluginSet {aim.name} was deleted meanwhile")
    status: Mapping[str, Any] = body.get("status") or {}
    generation = int(aim.before["metadata"]["generation"])
    read = int(status.get("observedGeneration") or 0) >= generation
    allowed = guarded or _stalled(status).get("reason") != "GuardedDeletion"
    return status if read and allowed else None


def _refusal(aim: Target, status: Mapping[str, Any]) -> ConfigError | ActionError | None:
    if status.get("problems"):
        return ConfigError(
            [
                Problem(f"{file_of(aim.name)} {each['place']}", 0, 0, each["message"], each["fix"])
                for each in status["problems"]
            ]
        )
    stalled = _stalled(status)
    states = {each.get("state") for each in status.get("plugins") or ()}
    # Else it is one plugin that is stalled: whoever waits for all is told by name.
    if stalled and stalled["reason"] not in states:
        return ActionError(stalled["message"], reason=stalled["reason"], permanent=True)
    return None


def _together(refusals: Sequence[ConfigError | ActionError]) -> ConfigError | ActionError:
    """Return all problems as one refusal; without any, the first."""
    found = [each.problems for each in refusals if isinstance(each, ConfigError)]
    return ConfigError([one for each in found for one in each]) if found else refusals[0]


def _stalled(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the condition that says that nothing will change without a person; empty: it will."""
    conditions = status.get("conditions") or ()
    return next((c for c in conditions if (c["type"], c["status"]) == ("Stalled", "True")), {})


def check_owner(aim: Target, spec: Mapping[str, Any]) -> None:
    """Raise ConflictError, with the patch for him, where a tool would undo what is to be written."""
    found = owner(aim.before or {})
    if found is None or dict(spec) == dict(aim.spec_before):
        return
    file = file_of(aim.name)
    old, new = [(file, text_of(aim.spec_before))], [(file, text_of(spec))]
    patch = "".join(texts(old, new, names=("as it is", "as asked for")))
    raise ConflictError(
        f"PluginSet {aim.name} belongs to {found}, who would undo this; nothing was changed\n"
        f"  fix: commit this to {found.where}, below `spec:`\n{patch}".rstrip()
    )


def _settings(there: Reached) -> dict[str, str]:
    """Return what else decided what is applied now: the controller's own settings."""
    path = there.socket()
    number = int(client.ask(path, "status")["revision"])
    if not number:
        return {"project": there.release()}
    found = client.ask(path, "revision", number=number)["settings"]
    return {key: str(value) for key, value in found.items()}


def _named(sources: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the files without `name:`: the project is the release, whatever a file calls it."""
    for file, text in sources:
        yield (
            file,
            "".join(
                f"#{line}" if line.startswith("name:") else line
                for line in text.splitlines(keepends=True)
            ),
        )


def outcome(
    status: Mapping[str, Any], plugins: Sequence[Mapping[str, Any]], *, ready: bool = False
) -> dict[str, Any]:
    """Return what a person is told at the end, of which nothing is waited for."""
    return {
        "revision": int(status.get("revision") or 0),
        "ready": ready,
        "plugins": list(plugins),
        "waiting": [],
    }
