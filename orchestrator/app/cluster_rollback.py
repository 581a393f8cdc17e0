"""rollback on a cluster: all PluginSets of a revision are written again, and then waited for as one."""

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.app.cluster_apply import check_owner, outcome, verdict
from orchestrator.app.cluster_target import Target, target, write
from orchestrator.app.declared_spec import spec_of
from orchestrator.app.reach import reached
from orchestrator.cluster.kinds import name_of
from orchestrator.control import client
from orchestrator.errors import ConflictError, UnreachableError
from orchestrator.settings import Settings
from orchestrator.store.kubernetes.plugin_sets import PLUGIN_SET
from orchestrator.store.kubernetes.written import PREFIX, file_of, text_of


def made_since(settings: Settings, revision: Mapping[str, Any]) -> list[str]:
    """Return the PluginSets that a revision knew nothing of: going back leaves them as they are."""
    there = reached(settings).ask(lambda cluster: cluster.list(PLUGIN_SET)).items
    return sorted({name_of(each) for each in there} - _texts(revision).keys())


def rolled_back(
    settings: Settings,
    revision: Mapping[str, Any],
    *,
    allow_deletes: bool,
    take_over: bool,
    wait: bool,
    deadline: float,
) -> Iterator[dict[str, Any]]:
    """Write each PluginSet that was another one then; yield progress, and one outcome of all.

    Raises:
        ConflictError: one belongs to a tool, or somebody else changed it.
        ConfigError, ActionError: the controller refuses what they say together.
    """
    then = _texts(revision)
    aims = [target(settings, name) for name in sorted(then)]
    for aim in aims:
        aim.look()
    changed = [aim for aim in aims if text_of(aim.spec_before) != then[aim.name]]
    if not changed:
        status = client.ask(reached(settings).socket(), "status")
        yield {"result": outcome(status, status["plugins"], ready=True)}
        return
    specs = [(aim, spec_of([(file_of(aim.name), then[aim.name])])) for aim in changed]
    _write_all(specs, allow_deletes=allow_deletes, take_over=take_over)
    yield from verdict(changed, guarded=not allow_deletes, wait=wait, deadline=deadline)


def _texts(revision: Mapping[str, Any]) -> dict[str, str]:
    return {f.removeprefix(PREFIX): t for f, t in revision["sources"] if f.startswith(PREFIX)}


def _write_all(specs: list[tuple[Target, dict[str, Any]]], **terms: bool) -> None:
    """All of them or none, as far as that can be known: half of a way back is no state that ever was."""
    for aim, spec in specs:
        check_owner(aim, spec)
    for aim, spec in specs:
        write(aim, spec, dry=True, **terms)
    done: list[str] = []
    for aim, spec in specs:
        try:
            write(aim, spec, **terms)
        except (ConflictError, UnreachableError) as error:
            if not done:
                raise
            told = f"{error}\n  {', '.join(done)} is written already: the same rollback again writes the rest"
            raise type(error)(told) from error
        done.append(aim.name)
