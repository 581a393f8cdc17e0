"""Settings of the orchestrator: options, environment and .env in one place.

The process environment wins over `.env`, as everywhere. Nothing here imports pydantic or an adapter,
so `ntpctl status` is quick.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ntp.contract.names import is_name
from orchestrator.errors import ConfigError, Problem
from orchestrator.files import read, read_dotenv, read_setting, shown, unreadable
from orchestrator.spec import environment as dotenv
from orchestrator.spec import external_nats, project_name
from orchestrator.spec.external_nats import ExternalNats
from orchestrator.spec.webhook import Webhook, webhook

ON_THIS_MACHINE = ("process", "docker")
RUNTIMES = (*ON_THIS_MACHINE, "kubernetes")
CONTEXT, NAMESPACE = "NTP_CONTEXT", "NTP_NAMESPACE"
"""`--context` and `--namespace`: commands are for a controller on that cluster."""
DECISIVE = ("PLUGIN_DIR", "PLUGIN_MAX_MEMORY", "PLUGIN_SANDBOX", "PLUGIN_TIMEOUT")
DEFAULT_FILES = (Path("config", "plugins.yaml"), Path("plugins.yaml"))
SUFFIXES = (".yaml", ".yml")
STDIN = "-"
MAX_BYTES = 16 * 1024 * 1024
"""All files of a project together."""
_CA_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """What a command works on.

    Attributes:
        project: names the state folder and everything that runs. Option, else `name:` in the file,
            else the project's folder.
        named_by: which of these it was: `option`, `file` or `folder`.
        folder: the project's folder: that of plugins.yaml, or the one above if that is `config`.
        files: what `-f` named, else PLUGIN_CONFIG, else config/plugins.yaml, else plugins.yaml.
            Files, folders of *.yaml, or `-` for standard input; they need not exist.
        environment: the process environment over `.env`; `spec.load` reads PLUGIN_MAX_MEMORY,
            PLUGIN_TIMEOUT and PLUGIN_SANDBOX from it, secrets come from it.
        plugin_dir: PLUGIN_DIR: where the user's own plugins are. A relative one is relative to the
            .env that says it, else to the working folder.
        sandbox: PLUGIN_SANDBOX; false is a named exception that `apply` has to confirm.
        state: NTP_STATE/<project>, else below the user's state folder. Whoever makes it: mode 0700.
        cache: NTP_CACHE, else the user's cache folder: environments, manifests, copies of code.
        runtime: NTP_RUNTIME (`--runtime` of the demo): `process`, `docker` or `kubernetes`; empty: see
            `app.house.runtime_name`.
        nats: NTP_NATS, an external NATS; None: the embedded. Its folder of keys is relative to `folder`.
        webhook: NTP_WEBHOOK and what belongs to it; None: nobody is told of alerts.
        egress: NTP_EGRESS_MAP and, as `egress_ca`, the text of the file that NTP_EGRESS_CA names.
        unservable: problems with which no controller can be run.
    """

    project: str
    folder: Path
    files: tuple[Path, ...]
    state: Path
    cache: Path
    named_by: str = "option"
    plugin_dir: Path | None = None
    sandbox: bool = True
    runtime: str = ""
    nats: ExternalNats | None = None
    webhook: Webhook | None = None
    egress: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    unservable: tuple[Problem, ...] = ()

    @property
    def context(self) -> str | None:
        """The context of the kubeconfig that commands are for; None: they are for this machine."""
        return self.environment.get(CONTEXT) or None

    @property
    def namespace(self) -> str | None:
        """Of the cluster; None: the context's own."""
        return self.environment.get(NAMESPACE) or None

    @property
    def plugin_settings(self) -> dict[str, str]:
        """The PLUGIN_* values that are set and, with the files, decide what is declared.

        They are kept with each revision, so no other variable is among them: it may be a secret.
        """
        return {name: self.environment[name] for name in DECISIVE if name in self.environment}

    def sources(
        self, stdin: bytes | None = None, *, tolerated: list[Problem] | None = None
    ) -> tuple[tuple[str, bytes], ...]:
        """Read the files as (name, content), a folder's in the order of their names.

        Names are relative to `folder` where they lie in it. `tolerated`: see `find`.

        Raises:
            ConfigError: a file is missing, unreadable, no regular file, or all are over 16 MiB.
        """
        problems: list[Problem] = [] if tolerated is None else tolerated
        found: list[tuple[str, bytes]] = []
        left = MAX_BYTES
        for path in self._paths(problems):
            name = "<stdin>" if str(path) == STDIN else shown(path, self.folder)
            if str(path) == STDIN:
                content = stdin if stdin is not None else b""
            else:
                try:
                    content = read(path, left)
                except OSError as error:
                    problems.append(unreadable(name, error))
                    continue
            left -= len(content)
            if left < 0:
                message = "all files together have more than 16 MiB"
                problems.append(Problem(name, 0, 0, message, "split the project"))
                break
            found.append((name, content))
        if problems and tolerated is None:
            raise ConfigError(problems)
        return tuple(found)

    def _paths(self, problems: list[Problem]) -> list[Path]:
        paths: list[Path] = []
        for path in self.files:
            if str(path) == STDIN or not path.is_dir():
                paths.append(path)
                continue
            inside = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
            if not inside:
                where, fix = shown(path, self.folder), "name a file, or add one"
                problems.append(Problem(where, 0, 0, "the folder has no .yaml file", fix))
            paths += inside
        return paths


def find(
    files: Sequence[str] = (),
    *,
    project: str | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes | None = None,
    tolerated: list[Problem] | None = None,
) -> Settings:
    """Return the settings of the project that `files` (or the working folder) names.

    Args:
        files: what `-f` named: files, folders, `-`; relative to `cwd`.
        project: what `--project` named.
        environment: default: that of this process.
        cwd: default: the working folder.
        stdin: what `-` stands for, if it was read: it may say `name:` too.
        tolerated: takes the problems instead of their being raised, where more is looked for.

    Raises:
        ConfigError: .env or a setting cannot be read; every problem at once.
    """
    problems: list[Problem] = [] if tolerated is None else tolerated
    process = dict(os.environ if environment is None else environment)
    here = Path.cwd() if cwd is None else cwd
    # The .env of the working folder may name the file, and the file's own project has another .env.
    mistakes: list[Problem] = []
    beside = read_dotenv(here / ".env", mistakes)
    chosen = _chosen(files, process, beside, here)
    folder = _folder(chosen, here)
    env_file = _env_file(folder, chosen[0].parent)
    if env_file.parent != here:
        mistakes = []
        beside = read_dotenv(env_file, mistakes)
    problems += mistakes
    merged = {**beside, **process}
    declared = None if project else _declared_name(chosen, stdin)
    name = project or declared or project_name.of_folder(folder.resolve().name)
    if not is_name(name):
        problems.append(_bad_project(name, given=project is not None))
    unservable: list[Problem] = []
    settings = Settings(
        project=name,
        folder=folder,
        files=chosen,
        state=_state(merged, here) / name,
        cache=_cache(merged),
        named_by="option" if project else "file" if declared else "folder",
        plugin_dir=_plugin_dir(process, beside, here, env_file.parent),
        sandbox=dotenv.switch(merged, "PLUGIN_SANDBOX", default=True, problems=problems),
        runtime=_runtime(merged, unservable),
        nats=external_nats.read(merged, unservable),
        webhook=webhook(merged, problems),
        egress=_egress(merged, here if "NTP_EGRESS_CA" in process else env_file.parent, problems),
        environment=merged,
        unservable=tuple(unservable),
    )
    problems += unservable
    if problems and tolerated is None:
        raise ConfigError(problems)
    return settings


def _chosen(
    files: Sequence[str], process: Mapping[str, str], beside: Mapping[str, str], here: Path
) -> tuple[Path, ...]:
    if files:
        return tuple(Path(STDIN) if each == STDIN else here / each for each in files)
    configured = process.get("PLUGIN_CONFIG") or beside.get("PLUGIN_CONFIG")
    if configured:
        return (here / Path(configured).expanduser(),)
    for candidate in DEFAULT_FILES:
        if (here / candidate).exists():
            return (here / candidate,)
    return (here / DEFAULT_FILES[0],)


def _folder(chosen: Sequence[Path], here: Path) -> Path:
    first = chosen[0]
    if str(first) == STDIN:
        return here
    folder = Path(os.path.normpath(first if first.is_dir() else first.parent))
    return folder.parent if folder.name == "config" else folder


def _env_file(folder: Path, beside: Path) -> Path:
    """Return the project's .env; that beside plugins.yaml if only there is one."""
    return next(
        (each for each in (folder / ".env", beside / ".env") if each.exists()), folder / ".env"
    )


def _declared_name(chosen: Sequence[Path], stdin: bytes | None) -> str | None:
    for path in chosen:
        if str(path) == STDIN:
            name = project_name.in_file(stdin or b"")
            if name is not None:
                return name
            continue
        inside = [path]
        if path.is_dir():
            inside = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
        for file in inside:
            try:
                name = project_name.in_file(read(file, MAX_BYTES))
            except OSError:
                continue
            if name is not None:
                return name
    return None


def _bad_project(name: str, *, given: bool) -> Problem:
    fix = "lower-case letters, digits, '_' and '-', a letter first, at most 40 characters"
    return Problem("--project" if given else "name", 0, 0, f"the project's name was '{name}'", fix)


def _cache(merged: Mapping[str, str]) -> Path:
    from ntp.package import cache

    return cache.root(merged)


def _state(merged: Mapping[str, str], here: Path) -> Path:
    if named := merged.get("NTP_STATE"):
        return (here / Path(named).expanduser()).absolute()
    import platformdirs

    # Of root: /var/lib, as for every service. /root is closed to the plugins' own users.
    return platformdirs.PlatformDirs("ntp", appauthor=False, use_site_for_root=True).user_state_path


def _plugin_dir(
    process: Mapping[str, str], beside: Mapping[str, str], here: Path, env_folder: Path
) -> Path | None:
    if process.get("PLUGIN_DIR"):
        return here / Path(process["PLUGIN_DIR"]).expanduser()
    if beside.get("PLUGIN_DIR"):
        return env_folder / Path(beside["PLUGIN_DIR"]).expanduser()
    return None


def _egress(merged: Mapping[str, str], beside: Path, problems: list[Problem]) -> dict[str, str]:
    named, led = merged.get("NTP_EGRESS_CA", ""), merged.get("NTP_EGRESS_MAP", "")
    if not (named or led.strip()):
        return {}
    from orchestrator.spec import detour

    found = {detour.MAP: led}
    if named:
        content = read_setting(detour.CA, beside / Path(named).expanduser(), _CA_BYTES, problems)
        found[detour.AUTHORITY] = content.decode("ascii", "replace")
    detour.read(found, problems)
    return found


def _runtime(merged: Mapping[str, str], problems: list[Problem]) -> str:
    runtime = merged.get("NTP_RUNTIME", "")
    if runtime and runtime not in RUNTIMES:
        fix = f"write {', '.join(RUNTIMES)}, or leave it out"
        problems.append(Problem("environment", 0, 0, f"NTP_RUNTIME was '{runtime}'", fix))
    return runtime
