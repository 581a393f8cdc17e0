"""The end of a project that a command ran for its user: down, and what was made for it gone."""

import shutil
import sys
from pathlib import Path

from orchestrator import app
from orchestrator.cli.failure import first_signal_waits, say
from orchestrator.errors import NtpError
from orchestrator.settings import Settings

DOWN_S = 60.0


def own_name() -> str:
    """Return what to type for this program here: in a checkout it is not on the PATH."""
    ours = Path(sys.argv[0]).absolute()
    found = shutil.which("ntpctl")
    if found and Path(found).absolute() == ours:
        return "ntpctl"
    if ours.name != "ntpctl":
        return "python -m orchestrator"
    return str(ours.relative_to(Path.cwd())) if ours.is_relative_to(Path.cwd()) else str(ours)


def take_down(settings: Settings, *, delete_data: bool) -> None:
    """Take a project down and wait until it is; nothing is done where nothing was applied.

    Raises:
        NtpError: something of it still runs, or nobody answered.
    """
    if not app.was_applied(settings):
        return
    app.ensure_controller(settings)
    for _ in app.call(settings, "down", delete_data=delete_data, deadline=DOWN_S):
        pass
    app.forget(settings, delete_data=delete_data)


def clean(settings: Settings, folder: Path) -> None:
    """Take everything down and `folder` away; where that fails, say how it goes by hand."""
    by_hand = (
        f"NTP_STATE={settings.state.parent} {own_name()} down --project {settings.project}"
        f" --delete-data --yes; rm -r {folder}"
    )
    try:
        with first_signal_waits("\ncleaning up; once more ends it as it is\n"):
            take_down(settings, delete_data=True)
            shutil.rmtree(folder, ignore_errors=True)
    except NtpError as error:
        say(f"cleaning up: {error}\n  fix: {by_hand}")
    except KeyboardInterrupt:
        if folder.exists():
            say(f"\ninterrupted while cleaning up; what is left goes by:  {by_hand}")
        raise
