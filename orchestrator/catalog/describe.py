"""From a plugin's files to its manifest: read from plugin.yaml, or asked of a lone file."""

import asyncio
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from ntp.contract.manifest import FILE, Manifest, read
from ntp.package.cache import Cache
from ntp.package.entrypoint import mistake
from ntp.package.environment import Environment, Environments
from ntp.package.lock import Lock
from ntp.package.sdk_copies import digest
from ntp.package.wheels import unmet
from orchestrator.catalog.extraction import Answer, Limits, ask
from orchestrator.catalog.fault import Fault, FaultError, ImportFaultError
from orchestrator.catalog.find import Found
from orchestrator.errors import ActionError, ConfigError
from orchestrator.spec import source

_DISTRIBUTION = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "google": "protobuf",
    "jwt": "pyjwt",
    "PIL": "pillow",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "talib": "ta-lib",
    "ta": "ta",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}
"""Where a module is called otherwise than the distribution that brings it."""


def from_document(found: Found) -> Manifest:
    """Read plugin.yaml; FaultError has every mistake with its line."""
    shown = f"{found.shown}/{FILE}"
    try:
        document = source.parse(found.tree.files[FILE], file=shown)
    except ConfigError as error:
        raise FaultError(
            *(Fault(p.message, p.fix, (p.file, p.line, p.column)) for p in error.problems)
        ) from error
    manifest, problems = read(document.value, file=shown, locate=document.place)
    if manifest is None:
        raise FaultError(*(Fault(p.message, p.fix, (p.file, p.line, p.column)) for p in problems))
    wrong = mistake(found.tree, manifest.entrypoint)
    if wrong is not None:
        raise FaultError(Fault(*wrong, (shown, *document.place(("entrypoint",)))))
    return manifest


class Descriptions:
    """Asks lone files what they are, and remembers the answers by content."""

    def __init__(
        self, cache: Cache, environments: Environments, limits: Limits, *, at_once: int = 2
    ) -> None:
        self._cache = cache
        self._environments = environments
        self._limits = limits
        self._slots = asyncio.Semaphore(at_once)

    async def manifest(self, found: Found, code: Path, name: str, lock: Lock | None) -> Manifest:
        """Return the manifest of a lone file.

        Args:
            found: the file.
            code: the folder with its copy.
            name: what the entry calls it, for a lone file has no name of its own.
            lock: the wheels that its requirements became, if that is known.

        Raises:
            FaultError: it is no plugin, or cannot be imported.
            ActionError: the cache cannot be used.
        """
        file = code / f"{found.module}.py"
        bare = await asyncio.to_thread(self._environments.bare)
        answer = await self._ask(found, file, bare)
        if _missing(answer) is not None:
            answer = await self._ask_again(found, file, lock, answer)
        if answer.message:
            # Without any answer there was no sandbox to ask in: nothing is known of the file.
            kind = ImportFaultError if answer.asked else FaultError
            raise kind(Fault(f"{found.shown}: {answer.message}", answer.fix))
        return _checked(found, name, answer.fields)

    async def _ask_again(
        self, found: Found, file: Path, lock: Lock | None, answer: Answer
    ) -> Answer:
        """Something is not installed: look at what the file declares, and whether that is here."""
        bare = await asyncio.to_thread(self._environments.bare)
        if found.path.with_name(f"{_missing(answer)}.py").is_file():
            fix = f"put both files into a folder with a {FILE}: a lone file has no neighbours"
            return Answer(answer.fields, answer.message, fix)
        wanted = _valid(answer.fields.get("requirements"))
        ready = await asyncio.to_thread(self._environments.ready, wanted, lock)
        if ready is not None:
            return answer if ready == bare else await self._ask(found, file, ready)
        # Nothing is fetched here. With stand-ins for what is not installed yet, it still imports.
        guess = await self._ask(found, file, bare, stand_ins=True)
        if not guess.message:
            open_ = unmet(wanted, self._environments.base().versions)
            for module in undeclared(guess.fields.get("stand_ins"), open_):
                message = f"it imports '{module}', which none of its requirements brings"
                return Answer(guess.fields, message, f"add '{module}' to requirements")
        return guess

    async def _ask(
        self, found: Found, file: Path, environment: Environment, *, stand_ins: bool = False
    ) -> Answer:
        key = digest("described", found.tree.digest, environment.digest, str(stand_ins))
        known = await asyncio.to_thread(self._cache.read, "described", key)
        if isinstance(known, dict):
            return Answer(known)
        async with self._slots:
            try:
                answer = await ask(
                    file,
                    environment,
                    self._limits,
                    self._cache.root / "seccomp",
                    stand_ins=stand_ins,
                )
            except ActionError as error:
                fix = f"put it into a folder with a {FILE}, which needs no run; see ntpctl doctor"
                return Answer({}, str(error), fix, asked=False)
        if not answer.message:
            await asyncio.to_thread(self._cache.write, "described", key, dict(answer.fields))
        return answer


def undeclared(modules: Any, requirements: Sequence[str]) -> Sequence[str]:
    """Return the modules that no requirement can be meant to bring.

    Module and distribution may be called differently. Where a requirement is left that matches no
    module, it may be the one, and nobody is accused.
    """
    names = {canonicalize_name(Requirement(text).name) for text in requirements}
    strangers = []
    for module in modules if isinstance(modules, list) else ():
        plain = canonicalize_name(str(module))
        wanted = _DISTRIBUTION.get(str(module), plain)
        close = {name for name in names if name == wanted or plain in name or name in plain}
        if close:
            names -= close
        else:
            strangers.append(str(module))
    return [] if names else strangers


def _missing(answer: Answer) -> str | None:
    refused = answer.fields.get("refused")
    missing = refused.get("missing") if isinstance(refused, dict) else None
    return missing if isinstance(missing, str) and missing.isidentifier() else None


def _valid(requirements: Any) -> tuple[str, ...]:
    found = []
    for text in requirements if isinstance(requirements, list) else ():
        try:
            found.append(str(Requirement(str(text))))
        except InvalidRequirement:
            continue  # the manifest's own check names it
    return tuple(found)


def _checked(found: Found, name: str, fields: Mapping[str, Any]) -> Manifest:
    """Believe nothing: the fields come from the plugin's own process."""
    table = fields.get("table")
    document = dict(table) if isinstance(table, dict) else {}
    document |= {key: value for key, value in fields["manifest"].items() if key != "title"}
    document |= {"name": name, "requirements": fields.get("requirements", [])}
    manifest, problems = read(document, file=found.shown)
    if manifest is None:
        raise FaultError(*(Fault(f"{found.shown}: {p.message}", p.fix) for p in problems))
    module = manifest.entrypoint.partition(":")[0]
    if module != found.module:
        raise FaultError(
            Fault(
                f"{found.shown}: its answer named the module '{module}'", "define the class there"
            )
        )
    _check_python(found, str(fields.get("requires_python") or ""))
    return manifest


def _check_python(found: Found, wanted: str) -> None:
    try:
        fits = SpecifierSet(wanted).contains(platform.python_version(), prereleases=True)
    except InvalidSpecifier as error:
        message = f"{found.shown}: 'requires-python' was '{wanted}'"
        raise FaultError(Fault(message, "write a range such as '>=3.11'")) from error
    if not fits:
        message = (
            f"{found.shown}: it needs Python {wanted}, and this is {platform.python_version()}"
        )
        raise FaultError(Fault(message, "run ntpctl with such a Python, or widen the range"))
