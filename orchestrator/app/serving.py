"""A controller's process, from the loading of its program on."""

import gc
from collections.abc import Sequence

from orchestrator.app import (
    bare_structlog,  # noqa: F401 - before anybody imports structlog
    check_folder,
)
from orchestrator.errors import ConfigError
from orchestrator.settings import Settings


def serve(
    settings: Settings, *, background: bool, follow: Sequence[str] | None, named: bool
) -> None:
    """See `app.serve`. `background`: a command has started us, and says when it wants us."""
    if settings.runtime == "kubernetes":
        from orchestrator.app import on_cluster

        on_cluster.serve(settings)
        return
    gc.disable()  # until all is there (`on_machine.serve`): of what is imported nothing is garbage
    from orchestrator.app import on_machine, unfit
    from orchestrator.app.everywhere import external
    from orchestrator.app.standby import is_wanted

    if background and not is_wanted(settings.state):
        return
    external(settings)
    if problems := [*settings.unservable, *filter(None, [unfit.refusal(settings)])]:
        raise ConfigError(problems)
    if follow is not None:
        check_folder(settings)
    on_machine.serve(settings, background=background, follow=follow, named=named)
