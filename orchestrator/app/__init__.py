"""What the command line can do, each as one call. `app.house`, `app.on_machine` and `app.on_cluster` alone name adapters."""

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntp.contract.names import is_name
from ntp.contract.problem import Problem
from orchestrator.app.declaration import Declaration as Declaration
from orchestrator.app.declaration import confirm_sandbox as confirm_sandbox
from orchestrator.app.declaration import declare as declare
from orchestrator.app.declaration import prevented as prevented
from orchestrator.control import client
from orchestrator.control.protocol import SOCKET
from orchestrator.errors import ConfigError, ConflictError, UnreachableError
from orchestrator.settings import Settings, find

if TYPE_CHECKING:
    from orchestrator.app.standby import Standby
    from orchestrator.app.unit import Unit

STORE = "state.db"


def locate(
    files: Sequence[str] = (), project: str | None = None
) -> tuple[Settings, Sequence[Problem]]:
    """Return the settings of the project that options, environment and folder name.

    To look and to stop needs nothing of what has a problem in .env or the environment, so these come
    beside. Raises ConfigError where it is not known which project is meant.
    """
    mistakes: list[Problem] = []
    settings = find(files, project=project, tolerated=mistakes)
    if not is_name(settings.project):
        raise ConfigError(mistakes)
    return settings, sorted(mistakes)


def check_folder(settings: Settings) -> None:
    """Refuse to touch what was applied from another folder that happens to have the same name.

    Raises:
        ConflictError: only the folder's name says that it is this project.
    """
    if settings.named_by != "folder" or settings.context is not None:
        return
    from orchestrator.store import glance

    before = glance.applied_from(settings.state / STORE)
    if not before or Path(before).resolve() == settings.folder.resolve():
        return
    name = settings.project
    raise ConflictError(
        f"project '{name}' was applied from {before}, not from {settings.folder}; nothing was changed\n"
        f"  fix: give this one a name of its own (`name:` in the file, or --project NAME); "
        f"or say `--project {name}` if it is meant"
    )


def call(
    settings: Settings, what: str, /, **arguments: Any
) -> Generator[dict[str, Any], None, None]:
    """Ask the project's controller; yield events, then the result."""
    try:
        yield from client.call(_socket(settings), what, **arguments)
    except client.NobodyError:
        raise _nobody(settings) from None


def ask(settings: Settings, what: str, /, **arguments: Any) -> dict[str, Any]:
    """Ask the project's controller; return the result."""
    try:
        return client.ask(_socket(settings), what, **arguments)
    except client.NobodyError:
        raise _nobody(settings) from None


def _socket(settings: Settings) -> Path:
    """Return where the controller answers: on a cluster the leader, through the API server."""
    if settings.context is None:
        return settings.state / SOCKET
    from orchestrator.app.reach import reached

    return reached(settings).socket()


def _nobody(settings: Settings) -> UnreachableError:
    """Say what it means for what runs that nobody answers, and what to do."""
    if settings.context is not None:
        return UnreachableError(
            "the leader does not answer; what ran goes on without one\n"
            "  fix: try again in 20 s: another one takes its place"
        )
    if was_applied(settings):
        return UnreachableError(
            f"no controller answers for project '{settings.project}'; what ran goes on without one\n"
            "  fix: `ntpctl apply` or `ntpctl serve` starts one, and it adopts what runs"
        )
    return UnreachableError(
        f"nothing of project '{settings.project}' was applied here ({settings.state})\n"
        "  fix: `ntpctl apply`, or name another project with --project or a file"
    )


def is_served(settings: Settings) -> bool:
    """Tell whether a controller of the project answers."""
    if settings.context is not None:
        return client.answers(_socket(settings))
    return client.answers(settings.state / SOCKET)


def was_applied(settings: Settings) -> bool:
    """Tell whether something was applied on this machine, running or not."""
    if is_served(settings):
        return True
    from orchestrator.store import glance

    return glance.applied_from(settings.state / STORE) is not None


def ensure_controller(settings: Settings, standby: "Standby | None" = None) -> bool:
    """Start a controller in the background where none answers; tell whether one was started.

    `standby`: one that is loaded already; it ends where it is not wanted. A cluster sees to its own.
    """
    if settings.context is None and not is_served(settings):
        from orchestrator.app import background

        if background.ensure(settings, standby):
            return True
    if standby is not None:
        standby.dismiss()
    return False


def loaded_controller(settings: Settings) -> "AbstractContextManager[Standby | None]":
    """Have a controller's program loaded meanwhile, where `ensure_controller` would start one."""
    if settings.context is not None or is_served(settings):
        return nullcontext()
    from orchestrator.app.standby import Standby

    return Standby(settings)


def preview(declared: Declaration, *, update_images: bool = False) -> dict[str, Any]:
    """Return problems, or what apply would do; where no controller answers, by looking ourselves.

    `update_images`: tags of images mean what they mean now, not what they meant at the last apply.
    """
    if declared.settings.context is not None:
        from orchestrator.app import cluster_apply

        return cluster_apply.preview(declared, update_images=update_images)
    sources = [list(source) for source in declared.sources]
    try:
        return client.ask(
            declared.settings.state / SOCKET,
            "preview",
            within_s=120.0,
            sources=sources,
            settings=declared.decisive,
            secrets=declared.secrets,
            # A controller of an older release, that still runs, knows no pins here.
            **({"pins": declared.pins} if declared.pins else {}),
            **({"update_images": True} if update_images else {}),
        )
    except client.NobodyError:
        from orchestrator.app import first_plan

        return first_plan.preview(declared.settings, sources=sources, said=declared.decisive)


def apply(
    declared: Declaration, *, expect: int | None = None, allow_deletes: bool = False, take_over: bool = False, wait: bool = True, deadline: float = 120.0
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Hand the files to the controller; yield its plan, progress, and the outcome.

    On a cluster a PluginSet is written; `take_over`: also over what others have written there.
    """
    if declared.settings.context is not None:
        from orchestrator.app import cluster_apply

        return cluster_apply.apply(
            declared,
            allow_deletes=allow_deletes,
            take_over=take_over,
            wait=wait,
            deadline=deadline,
        )
    return call(
        declared.settings,
        "apply",
        sources=[list(source) for source in declared.sources],
        settings=declared.decisive,
        secrets=declared.secrets,
        pins=declared.pins,
        expect=expect,
        allow_deletes=allow_deletes,
        wait=wait,
        deadline=deadline,
    )


def check(declared: Declaration) -> tuple[Sequence[Problem], Sequence[Problem]]:
    """Return every problem of the files, plugins' own config schemas included; and the missing secrets.

    Nothing is started. Secrets are looked for where there is no problem. On a cluster the leader looks.
    """
    if declared.settings.context is not None:
        found = preview(declared)
        told = [*found["problems"], *found["entry_problems"]]
        return [Problem(**each) for each in told], []
    from orchestrator.app import checking

    return checking.check(declared)


def schemas() -> Mapping[str, bytes]:
    """Return the JSON Schemas by file name, rendered from the models."""
    from orchestrator.app import checking

    return checking.schemas()


def serve(
    settings: Settings,
    *,
    background: bool,
    follow: Sequence[str] | None = None,
    named: bool = False,
) -> None:
    """Run the controller until SIGTERM or Ctrl-C.

    `follow`: what `-f` named, to apply each edit of it; None: nothing is followed. `named`: an option
    gave the project its name.
    """
    from orchestrator.app import serving

    serving.serve(settings, background=background, follow=follow, named=named)


def install(settings: Settings, *, watch: bool, force: bool, write: bool) -> "Unit":
    """Return a systemd unit for the project's controller, and write it where it belongs.

    Raises:
        ActionError: another one is there already.
    """
    from orchestrator.app import unit

    made = unit.unit(settings, watch=watch, system=os.geteuid() == 0)
    if write:
        unit.write(made, force=force)
    return made


def examine(settings: Settings, *, try_webhook: bool = False) -> dict[str, Any]:
    """Try what this machine can isolate, and whether the webhook answers; say what is missing, in words."""
    from orchestrator.app import examination

    return examination.examine(settings, try_webhook=try_webhook)


def forget(settings: Settings, *, delete_data: bool) -> None:
    """After `down`: wait for the controller to end; remove all that is left but plugins' storage."""
    from orchestrator.app import background

    background.forget(settings, delete_data=delete_data)


def stored(settings: Settings) -> list[str]:
    """Return the plugins that have storage of their own here, whether they run or not."""
    from orchestrator.app import background

    return background.stored(settings)


def left_behind(settings: Settings) -> list[str]:
    """Return what still exists of a project that is down: processes, mounts, control groups."""
    from orchestrator.app import house

    return house.left_behind(settings)


def orphans(settings: Settings) -> str:
    """Say what runs of a project that has no records here; empty: nothing does."""
    from orchestrator.app.orphans import told

    return told(settings)


def replaced(settings: Settings) -> str:
    """Say that an apply takes the place of what runs without records; empty: nothing does."""
    if settings.context is not None or was_applied(settings):
        return ""
    from orchestrator.app.orphans import replaced as words

    return words(settings)
