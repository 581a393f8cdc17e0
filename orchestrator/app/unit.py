"""A systemd unit that keeps a project's controller alive, over crashes and reboots."""

import getpass
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import ActionError
from orchestrator.settings import Settings, find

SYSTEM = Path("/etc/systemd/system")
IN_THE_UNIT = ("NTP_STATE", "NTP_CACHE", "PLUGIN_CONFIG")
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")


@dataclass(frozen=True, slots=True)
class Unit:
    """What `serve --install` writes.

    Attributes:
        path: where it belongs.
        text: of the file.
        commands: what is left to do, by hand, to have it run now and after each boot.
        unseen: variables of this shell that decide how plugins run, and that systemd does not know.
    """

    path: Path
    text: str
    commands: tuple[str, ...]
    unseen: tuple[str, ...] = ()


def unit(settings: Settings, *, watch: bool, system: bool) -> Unit:
    """Return a unit of the system's manager, or of the user's own."""
    name = f"ntp-{settings.project}.service"
    ctl = "systemctl" if system else "systemctl --user"
    commands = [f"{ctl} daemon-reload", f"{ctl} enable --now {name}"]
    if not system:
        # Without it a user's services begin with the first login, and end with the last logout.
        commands[0] = f"loginctl enable-linger {getpass.getuser()}"
    return Unit(
        path=(SYSTEM if system else _own_folder()) / name,
        text=_text(settings, watch=watch, system=system),
        commands=tuple(commands),
        unseen=_unseen(settings),
    )


def write(made: Unit, *, force: bool) -> bool:
    """Write the unit; tell whether anything was written.

    Raises:
        ActionError: the file there says something else, and `force` is not given.
    """
    if made.path.exists():
        if made.path.read_text(encoding="utf-8", errors="replace") == made.text:
            return False
        if not force:
            raise ActionError(
                f"{made.path} is there already and says something else\n"
                "  fix: compare it with `ntpctl serve --install --dry-run`, and overwrite it with --force",
                reason="UnitChanged",
                permanent=True,
            )
    made.path.parent.mkdir(parents=True, exist_ok=True)
    fresh = made.path.with_name(f".{made.path.name}.new")
    fresh.write_text(made.text, encoding="utf-8")
    fresh.replace(made.path)
    return True


def _unseen(settings: Settings) -> tuple[str, ...]:
    files = [str(file) for file in settings.files]
    alone = find(files, project=settings.project, environment={}, tolerated=[]).environment
    return tuple(
        name
        for name, value in sorted(settings.environment.items())
        if name.startswith(("PLUGIN_", "NTP_"))
        and name not in IN_THE_UNIT
        and alone.get(name) != value
    )


def _own_folder() -> Path:
    configured = os.environ.get("XDG_CONFIG_HOME")
    return (Path(configured) if configured else Path.home() / ".config") / "systemd" / "user"


def _text(settings: Settings, *, watch: bool, system: bool) -> str:
    # -P: a folder called `orchestrator` in the project is not ours.
    command: Sequence[str] = (
        str(Path(sys.executable).absolute()), "-P", "-m", "orchestrator", "serve",
        *(["--watch"] if watch else []),
        "--project", settings.project,
        *(f"--file={file.absolute()}" for file in settings.files),
    )  # fmt: skip
    surroundings = {"NTP_STATE": settings.state.parent, "NTP_CACHE": settings.cache}
    return "\n".join(
        [
            "[Unit]",
            f"Description=Controller of the trading plugins of project {settings.project} (ntpctl)",
            *(["Wants=network-online.target", "After=network-online.target"] if system else []),
            # A controller that cannot start is tried for ever: what runs needs one.
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            "Type=exec",
            f"ExecStart={' '.join(_argument(each) for each in command)}",
            f"WorkingDirectory={_percent(str(settings.folder.resolve()))}",
            *(f"Environment={_quoted(f'{k}={v}')}" for k, v in surroundings.items()),
            "# Only the controller is ended or started again: plugins go on, and are adopted.",
            "KillMode=process",
            "Restart=always",
            "RestartSec=2",
            "# After `ntpctl down` nothing is left to control.",
            "RestartPreventExitStatus=0",
            "# Each plugin gets a control group with its limits.",
            "Delegate=yes",
            "",
            "[Install]",
            f"WantedBy={'multi-user' if system else 'default'}.target",
            "",
        ]
    )


def _argument(text: str) -> str:
    """Write an argument of ExecStart, where `$` begins a variable as well."""
    return _quoted(text.replace("$", "$$"))


def _quoted(text: str) -> str:
    text = _percent(text)
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _percent(text: str) -> str:
    return text.replace("%", "%%")
