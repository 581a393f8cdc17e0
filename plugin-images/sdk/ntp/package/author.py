"""A plugin as its author has it on disk: a folder with a manifest, or a lone file that is asked."""

import json
import keyword
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntp.contract.manifest import FILE, Manifest, read
from ntp.contract.problem import Problem
from ntp.package.entrypoint import TAKEN, mistake
from ntp.package.tree import Tree, TreeError, read_file, read_folder

ASK_S = 60.0
GIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Authored:
    """`lock`: where its locked requirements lie, or would."""

    tree: Tree
    manifest: Manifest
    lock: Path
    revision: str | None


class AuthorError(Exception):
    """Every problem of the plugin."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, sorted(problems))))
        self.problems = tuple(sorted(problems))


def look(path: Path) -> Authored:
    """Read a plugin that is one's own: a lone file is imported, with one's own rights.

    Raises:
        AuthorError: with everything that is wrong.
    """
    shown = str(path)
    try:
        if path.is_dir():
            return _folder(path, shown)
        return _lone(path, shown)
    except TreeError as error:
        raise _refused(shown, str(error), error.fix) from error


def _folder(path: Path, shown: str) -> Authored:
    from ntp.package.manifest_file import parse  # late: a lone file has no YAML

    tree = read_folder(path)
    if FILE not in tree.files:
        raise _refused(
            shown,
            f"the folder has no {FILE}",
            f"add a {FILE} with name, version, kind and entrypoint (a lone .py needs none)",
        )
    file = f"{shown.rstrip('/')}/{FILE}"
    manifest, problems = parse(tree.files[FILE], file=file)
    if manifest is None:
        raise AuthorError(*problems)
    wrong = mistake(tree, manifest.entrypoint)
    if wrong is not None:
        raise AuthorError(Problem(file, *_line_of(tree.files[FILE], "entrypoint"), *wrong))
    _check_syntax(tree, shown)
    return Authored(tree, manifest, path / "requirements.lock", revision(path))


def _lone(path: Path, shown: str) -> Authored:
    content = read_file(path)
    module = path.stem.replace("-", "_")
    if path.suffix != ".py" or not module.isidentifier() or keyword.iskeyword(module):
        raise _refused(shown, "it is no Python module", "name a plugin's folder or its .py file")
    if module in TAKEN:
        raise _refused(
            shown,
            f"it would hide the module '{module}' that Python or ntp needs",
            f"rename it, for example to '{module}_plugin.py'",
        )
    tree = Tree({f"{module}.py": content})
    _check_syntax(tree, str(path.parent), {f"{module}.py": path.name})
    said = _ask(path, shown)
    refused = said.get("refused")
    if isinstance(refused, dict):
        line = refused.get("line")
        raise AuthorError(
            Problem(
                shown, line or 0, 1 if line else 0, str(refused["message"]), str(refused["fix"])
            )
        )
    document = {key: value for key, value in said["manifest"].items() if key != "title"}
    document = {**dict(said.get("table") or {}), **document}
    document |= {"name": module.lower(), "requirements": said.get("requirements", [])}
    entry = str(document.get("entrypoint", "")).partition(":")[2]
    document["entrypoint"] = f"{module}:{entry}"
    manifest, problems = read(document, file=shown)
    if manifest is None:
        raise AuthorError(*problems)
    return Authored(tree, manifest, path.with_suffix(".lock"), revision(path))


def _ask(path: Path, shown: str) -> dict[str, Any]:
    command = [sys.executable, "-B", "-m", "ntp.extract", "--stand-ins", str(path.absolute())]
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=ASK_S)
    except subprocess.TimeoutExpired as error:
        raise _refused(
            shown,
            f"its import did not end within {ASK_S:.0f} s",
            "do at import only what takes no time; the rest belongs in initialize()",
        ) from error
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:300]
        raise _refused(
            shown, f"its import ended the program: {last}", "let the file only define its class"
        ) from error
    return dict(answer)


def _check_syntax(tree: Tree, shown: str, names: dict[str, str] | None = None) -> None:
    """A module that is no Python is found here, not when the plugin starts."""
    problems = []
    for path, content in sorted(tree.files.items()):
        if not path.endswith(".py"):
            continue
        file = f"{shown.rstrip('/')}/{(names or {}).get(path, path)}"
        try:
            compile(content, file, "exec", dont_inherit=True)
        except SyntaxError as error:
            place = (error.lineno or 0, error.offset or 0)
            said = f"it is not Python: {error.msg}"
            problems.append(Problem(file, *place, said, "correct the line"))
        except ValueError as error:
            problems.append(Problem(file, 0, 0, f"it is not Python: {error}", "save it as UTF-8"))
    if problems:
        raise AuthorError(*problems)


def _line_of(content: bytes, key: str) -> tuple[int, int]:
    for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
        if line.startswith(f"{key}:"):
            return number, 1
    return 1, 1


def _refused(shown: str, message: str, fix: str) -> AuthorError:
    return AuthorError(Problem(shown, 0, 0, message, fix))


def revision(path: Path) -> str | None:
    """Return git's name of what is packed; None: no git, or files that differ from that commit."""
    folder = path if path.is_dir() else path.parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments],
                check=False,
                capture_output=True,
                text=True,
                timeout=GIT_S,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if git("ls-files", "--error-unmatch", "--", path.name if path.is_file() else FILE) is None:
        return None
    changed = git("status", "--porcelain", "--", "." if path.is_dir() else path.name)
    return git("rev-parse", "HEAD") if changed == "" else None
