"""What a controller is given by its settings wherever it runs. It imports no runtime, catalog or store."""

import importlib.metadata
from pathlib import Path

from orchestrator.bus.external import External, read_keys
from orchestrator.errors import ConfigError
from orchestrator.monitor.webhook import HttpWebhook
from orchestrator.settings import Settings


def version() -> str:
    return importlib.metadata.version("ntp-orchestrator")


def notifier(settings: Settings) -> HttpWebhook | None:
    """Return who tells somebody outside; None: NTP_WEBHOOK names nobody."""
    if settings.webhook is None:
        return None
    return HttpWebhook(settings.webhook, version=version())


def external(settings: Settings) -> External | None:
    """Return the NATS that NTP_NATS names, with the keys that we have for it.

    Raises:
        ConfigError: the setting, the folder that it names, or a file there; all problems at once.
    """
    nats = settings.nats
    if nats is None:
        return None
    problems = list(settings.unservable)
    if nats.keys:
        try:
            found = read_keys(nats.address, settings.folder / Path(nats.keys).expanduser())
        except ConfigError as error:
            problems += error.problems
        else:
            if not problems:
                return found
    raise ConfigError(problems)
