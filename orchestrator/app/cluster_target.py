"""One PluginSet as a command looks at it and writes it: over exactly what it saw, or not at all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ntp.contract.names import object_name
from orchestrator.app.reach import Reached, reached
from orchestrator.cluster.kinds import Body, name_of, version_of
from orchestrator.cluster.refusals import OwnedError
from orchestrator.errors import ConflictError
from orchestrator.settings import Settings
from orchestrator.store.kubernetes.plugin_sets import ALLOW_DELETES, PLUGIN_SET

TRIES: Final = 10
"""To write while the controller says now and again how plugins are: each time it is another version."""


@dataclass(slots=True)
class Target:
    """One PluginSet, as it was when it was last looked at."""

    there: Reached
    name: str
    before: Body | None = None
    others: list[Body] = field(default_factory=list)
    guard: str = ""
    """Why the plan says that applying would be refused."""

    def look(self) -> None:
        bodies = self.there.ask(lambda cluster: cluster.list(PLUGIN_SET)).items
        self.before = next((each for each in bodies if name_of(each) == self.name), None)
        self.others = [each for each in bodies if name_of(each) != self.name]

    def is_as_before(self) -> bool:
        """Tell whether nothing but what the controller says of it has changed since; then that is looked at, too."""
        now = self.there.ask(lambda cluster: cluster.get(PLUGIN_SET, self.name))
        if now is None or self.before is None or _declared(now) != _declared(self.before):
            return False
        self.before = now
        return True

    @property
    def spec_before(self) -> Mapping[str, Any]:
        return (self.before or {}).get("spec") or {}


_TARGETS: dict[tuple[str | None, str | None, str], Target] = {}
"""What a plan was made of is what an apply goes by, in one command."""


def _declared(body: Body) -> dict[str, Any]:
    """Return what of an object people and their tools write."""
    by_server = {"resourceVersion", "managedFields"}
    metadata = {key: each for key, each in body["metadata"].items() if key not in by_server}
    return {"metadata": metadata, "spec": body.get("spec")}


def target(settings: Settings, name: str = "") -> Target:
    chosen = name or object_name(settings.project)
    key = settings.context, settings.namespace, chosen
    if key not in _TARGETS:
        _TARGETS[key] = Target(reached(settings), chosen)
    return _TARGETS[key]


def write(
    aim: Target,
    spec: Mapping[str, Any],
    *,
    allow_deletes: bool,
    take_over: bool,
    dry: bool = False,
) -> None:
    """Write a PluginSet over what was looked at last; `dry`: have the API server say whether that would be done.

    Raises:
        ConflictError: somebody else changed it; nothing was written.
    """
    notes = {"annotations": {ALLOW_DELETES: "true"}} if allow_deletes else {}

    def tried() -> Body:
        # Of exactly the state that the plan was made for.
        version = {"resourceVersion": version_of(aim.before)} if aim.before is not None else {}
        body = PLUGIN_SET.body(aim.name, metadata={**notes, **version}, spec=dict(spec))
        return aim.there.ask(
            lambda cluster: cluster.apply(PLUGIN_SET, body, force=take_over, dry=dry)
        )

    written = _written(aim, tried)
    if not dry:
        aim.before = written


def _written(aim: Target, tried: Callable[[], Body]) -> Body:
    """Try it again for as long as only the controller was quicker."""
    left = TRIES
    while True:
        left -= 1
        try:
            return tried()
        except OwnedError as error:
            raise ConflictError(
                f"PluginSet {aim.name} was changed by {', '.join(error.managers)}; nothing was changed\n"
                f"  fix: see `kubectl -n {aim.there.namespace} get pluginset {aim.name} -o yaml`, and take its "
                "changes into your files; `--take-over` writes over them"
            ) from error
        except ConflictError as error:
            if not left or not aim.is_as_before():
                raise ConflictError(
                    f"PluginSet {aim.name} was changed meanwhile: nothing was changed; plan again"
                ) from error
