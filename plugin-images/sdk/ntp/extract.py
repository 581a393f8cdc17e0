"""Read a lone plugin file's own description: `python -m ntp.extract FILE`, inside a sandbox only.

It imports the file, so it runs whatever stands in it. The answer is one JSON document on the
standard output that this process was started with; the file's own prints go to standard error. Who
asked treats the answer as a claim: hostile code can forge it, and gains nothing it could not say.
"""

import argparse
import importlib
import inspect
import json
import os
import re
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ntp import plugin as kinds
from ntp import stand_in
from ntp.declared import declared

MAX_BYTES = 256 * 1024
_KINDS = {
    "data_source": kinds.DataSourcePlugin,
    "indicator": kinds.IndicatorPlugin,
    "strategy": kinds.StrategyPlugin,
    "executor": kinds.ExecutorPlugin,
}
_ONE_METHOD = {
    "data_source": "stream",
    "indicator": "update",
    "strategy": "analyze",
    "executor": "process_signal",
}
_SHORT_VERSION = re.compile(r"[0-9]+(\.[0-9]+)?")


class RefusedError(Exception):
    """The file is no plugin. `missing`: the module that could not be imported."""

    def __init__(
        self, message: str, *, fix: str, missing: str | None = None, line: int | None = None
    ) -> None:
        super().__init__(message)
        self.fix = fix
        self.missing = missing
        self.line = line


def describe(file: Path, *, stand_ins: bool = False) -> dict[str, Any]:
    """Return `manifest` (its fields but the name) or `refused`, and what the text declares.

    Args:
        file: a module; it is imported.
        stand_ins: replace modules that cannot be found, for they may be declared and not installed
            yet; the answer names them.
    """
    try:
        said = declared(file.read_bytes(), file.name)
    except SyntaxError as error:
        return {
            "refused": _refusal(
                RefusedError(
                    f"it is not Python: {error.msg}", fix="correct the line", line=error.lineno
                )
            )
        }
    answer: dict[str, Any] = {
        "requirements": list(said.requirements),
        "requires_python": said.requires_python,
        "table": dict(said.table),
    }
    try:
        with stand_in.installed(active=stand_ins) as replaced:
            cls = plugin_class(_import(file), file.name)
            manifest = _describe(cls, file)
    except RefusedError as error:
        return {**answer, "refused": _refusal(error)}
    wanted = [*said.requirements, *manifest.pop("requirements")]
    return {
        **answer,
        "requirements": list(dict.fromkeys(wanted)),
        "manifest": manifest,
        "stand_ins": sorted(replaced),
    }


def plugin_class(module: Any, name: str) -> type[kinds.BasePlugin]:
    """Return the one plugin class *defined in* this module that implements what its kind needs."""
    defined: dict[type, str] = {}
    imported: list[str] = []
    for attribute, value in vars(module).items():
        if isinstance(value, type) and issubclass(value, kinds.BasePlugin):
            if value.__module__ == module.__name__:
                defined.setdefault(value, value.__name__)
            elif value.__module__ != kinds.__name__:
                imported.append(attribute)
    complete = [cls for cls in defined if not inspect.isabstract(cls)]
    if len(complete) == 1:
        return complete[0]
    if complete:
        names = " and ".join(sorted(cls.__name__ for cls in complete))
        raise RefusedError(
            f"{name} defines {len(complete)} plugin classes: {names}",
            fix="keep one class a file, or make a folder with a plugin.yaml that names the entrypoint",
        )
    for cls in defined:
        methods = ", ".join(f"{method}()" for method in sorted(_missing_methods(cls)))
        raise RefusedError(
            f"the class {cls.__name__} does not implement {methods}", fix=f"add {methods} to it"
        )
    if imported:
        raise RefusedError(
            f"{name} imports {', '.join(sorted(imported))} and defines no plugin class itself",
            fix="define the class in this file, or name the file that defines it",
        )
    raise RefusedError(
        f"{name} defines no plugin class",
        fix="extend DataSourcePlugin, IndicatorPlugin, StrategyPlugin or ExecutorPlugin of 'ntp'",
    )


def _import(file: Path) -> Any:
    sys.path.insert(0, str(file.parent))
    try:
        return importlib.import_module(file.stem)
    except ModuleNotFoundError as error:
        top = (error.name or "").partition(".")[0]
        raise RefusedError(
            f"it imports '{error.name}', which is not installed",
            fix=_fix_for_missing(top, file),
            missing=top or None,
            line=_line(error, file),
        ) from error
    except BaseException as error:
        raise _raised("its import", error, file) from error


def _fix_for_missing(top: str, file: Path) -> str:
    if top == file.stem:
        return "rename the file: it hides the module that it wants to import"
    return f"add '{top}' to requirements"


def _describe(cls: type[kinds.BasePlugin], file: Path) -> dict[str, Any]:
    kind = next((kind for kind, parent in _KINDS.items() if issubclass(cls, parent)), None)
    if kind is None:
        raise RefusedError(
            f"the class {cls.__name__} extends BasePlugin only",
            fix="extend DataSourcePlugin, IndicatorPlugin, StrategyPlugin or ExecutorPlugin",
        )
    said = _metadata(cls, file)
    text = {
        name: str(getattr(said, name, "") or "").strip()
        for name in ("version", "author", "description")
    }
    if _SHORT_VERSION.fullmatch(text["version"]):
        # "1" and "1.0" are what people write; a manifest wants all three numbers.
        text["version"] += ".0" * (2 - text["version"].count("."))
    return {
        **text,
        "title": str(getattr(said, "name", "") or "")[:200],
        "kind": kind,
        "entrypoint": f"{file.stem}:{cls.__name__}",
        "requirements": _texts(getattr(said, "requirements", None)),
        "config_schema": _schema(getattr(said, "config_schema", None)),
        "finite": kind == "data_source" and bool(getattr(cls, "finite", False)),
    }


def _metadata(cls: type[kinds.BasePlugin], file: Path) -> Any:
    """Ask an object whose `__init__` did not run; failing that, one that was made with no config."""
    try:
        bare = object.__new__(cls)
        bare.config = {}
        said = bare.get_metadata()
    except Exception:  # noqa: BLE001 - an author's code may raise anything
        try:
            said = cls({}).get_metadata()
        except BaseException as error:
            failed = _raised("get_metadata()", error, file)
            failed.fix = "let get_metadata() return without looking at the config"
            raise failed from error
    except BaseException as error:
        raise _raised("get_metadata()", error, file) from error
    if not hasattr(said, "version"):
        raise RefusedError(
            f"get_metadata() returned {type(said).__name__}",
            fix="return PluginMetadata(name=…, version=…)",
        )
    return said


def _raised(what: str, error: BaseException, file: Path) -> RefusedError:
    line = _line(error, file)
    if isinstance(error, SystemExit):
        return RefusedError(
            f"{what} ended the program (sys.exit)",
            fix="put what runs as a program below 'if __name__ == \"__main__\":'",
            line=line,
        )
    if isinstance(error, MemoryError):
        return RefusedError(f"{what} needed too much memory", fix="load data later", line=line)
    said = " ".join(str(error).split())[:300]
    return RefusedError(
        f"{what} raised {type(error).__name__}" + (f": {said}" if said else ""),
        fix="correct it; the file must import without a network or data",
        line=line,
    )


def _line(error: BaseException, file: Path) -> int | None:
    """The innermost line of the plugin's own file."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno for f in reversed(frames) if f.filename == str(file)), None)


def _missing_methods(cls: type) -> frozenset[str]:
    return getattr(cls, "__abstractmethods__", frozenset())


def _texts(value: Any) -> list[str]:
    return [str(text) for text in value] if isinstance(value, list | tuple) else []


def _schema(value: Any) -> Any:
    # A pydantic model says it better than a dictionary can.
    if isinstance(value, type):
        # Without that method its library is a stand-in so far, and there is nothing to say yet.
        return value.model_json_schema() if hasattr(value, "model_json_schema") else {}
    if isinstance(value, Mapping):
        # {"period": int} is a natural slip for {"period": "int"}.
        return {
            str(name): word.__name__ if isinstance(word, type) else word
            for name, word in value.items()
        }
    return {} if value is None else value


def _refusal(error: RefusedError) -> dict[str, Any]:
    return {"message": str(error), "fix": error.fix, "missing": error.missing, "line": error.line}


def _encode(answer: Mapping[str, Any]) -> bytes:
    try:
        document = json.dumps(answer, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        problem = RefusedError(
            f"get_metadata() returned what JSON cannot hold: {error}",
            fix="use text, numbers, lists and mappings",
        )
        return json.dumps({"refused": _refusal(problem)}).encode()
    if len(document) > MAX_BYTES:
        problem = RefusedError(
            f"its description has {len(document):,} bytes", fix=f"keep it below {MAX_BYTES:,}"
        )
        return json.dumps({"refused": _refusal(problem)}).encode()
    return document


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ntp.extract")
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--stand-ins", action="store_true", help="replace modules not installed yet"
    )
    options = parser.parse_args()
    answer, this = os.dup(1), os.getpid()
    os.dup2(2, 1)
    document = _encode(describe(options.file.absolute(), stand_ins=options.stand_ins))
    if os.getpid() != this:
        os._exit(0)  # the file forked, and this is not who was asked
    with os.fdopen(answer, "wb") as file:
        file.write(document)
    # Not sys.exit: threads and atexit functions of the file would keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
