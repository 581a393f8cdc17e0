"""Make a plugin's folder: all of it, or nothing."""

import keyword
import os
import re
import shutil
import tempfile
from pathlib import Path

from ntp.contract.manifest import FILE
from ntp.contract.names import RESERVED, is_name, object_name
from ntp.contract.problem import Problem
from ntp.create.template import Chosen, Rendered, rendered
from ntp.package.entrypoint import TAKEN

_OF_TESTS = frozenset({"conftest", "pytest", "tests"})
_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")


class CreateError(Exception):
    """Every reason why there can be no such folder."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def create(target: Path, template: str, *, symbol: str, author: str) -> Rendered:
    """Make the folder `target`, whose name becomes the plugin's; return what is in it now.

    It is written beside its place and then renamed, so that nobody meets half of it.

    Raises:
        CreateError: with every reason; nothing was made.
        OSError: it cannot be written there; nothing was made.
    """
    target = Path(os.path.normpath(target))
    _check(target, symbol)
    new = rendered(Chosen(template, target.name, symbol, author))
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for path, content in new.files.items():
            file = scratch / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        umask = os.umask(0)
        os.umask(umask)
        scratch.chmod(0o777 & ~umask)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return new


def _check(target: Path, symbol: str) -> None:
    problems = _name(target.name) or _place(target)
    if not _SYMBOL.fullmatch(symbol):
        fix = "letters, digits, '.', '_', ':', '/' and '-', at most 64 characters: BTCUSDT"
        problems.append(Problem("--symbol", 0, 0, f"the symbol was {symbol!r}", fix))
    if problems:
        raise CreateError(*problems)


def _name(name: str) -> list[Problem]:
    module = name.replace("-", "_")
    if name in RESERVED:
        found, fix = "it is a name that the system uses itself", f"write '{name}_plugin'"
    elif not is_name(name):
        found = "it is no name for a plugin"
        fix = "lower-case letters, digits, '_' and '-', a letter first, at most 40 characters"
        near = re.sub(r"[^a-z0-9_-]+", "_", name.lower()).strip("_-")[:40].rstrip("_-")
        fix += f": '{near}'" if is_name(near) else ""
    elif module in TAKEN | _OF_TESTS or keyword.iskeyword(module):
        found = f"its module '{module}' would hide one that Python, ntp or pytest needs"
        fix = f"write '{name[:33]}_plugin'"
    else:
        return []
    return [Problem(name or ".", 0, 0, found, fix)]


def _place(target: Path) -> list[Problem]:
    shown = str(target)
    if os.path.lexists(target):
        return [Problem(shown, 0, 0, "it is there already", "choose another name, or remove it")]
    if not target.parent.is_dir():
        found = f"the folder {target.parent} does not exist"
        return [Problem(shown, 0, 0, found, f"mkdir -p {target.parent}")]
    for other in sorted(target.parent.iterdir()):
        if other.suffix not in ("", ".py") or object_name(other.stem) != object_name(target.name):
            continue
        if (other / FILE).is_file() or other.is_file():
            found = f"{other} is a plugin whose name cannot be told from '{target.name}'"
            return [Problem(shown, 0, 0, found, "choose another name, or remove it")]
    return []
