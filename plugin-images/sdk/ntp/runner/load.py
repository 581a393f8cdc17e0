"""Importing the plugin's class from its folder, where its name may not replace anybody else's module."""

import importlib
import importlib.util
import inspect
import sys
import traceback
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from ntp.contract.names import Kind
from ntp.plugin import (
    BasePlugin,
    DataSourcePlugin,
    ExecutorPlugin,
    IndicatorPlugin,
    StrategyPlugin,
)
from ntp.runner.ending import EndError

_CLASS: dict[Kind, type[BasePlugin]] = {
    Kind.DATA_SOURCE: DataSourcePlugin,
    Kind.INDICATOR: IndicatorPlugin,
    Kind.STRATEGY: StrategyPlugin,
    Kind.EXECUTOR: ExecutorPlugin,
}
_SYNC = {Kind.INDICATOR: "update", Kind.STRATEGY: "analyze"}
_DISTRIBUTION = {
    "PIL": "Pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "sklearn": "scikit-learn",
    "talib": "TA-Lib",
    "yaml": "PyYAML",
}
"""Import names whose requirement has another name."""


def plugin_class(code: Path, entrypoint: str, kind: Kind) -> type[BasePlugin]:
    """Return the class that `module:Class` names.

    Raises:
        EndError: ImportFailed, with what to do about it.
    """
    name, _, class_name = entrypoint.partition(":")
    _let_siblings_in(code)
    module = _import(code, name)
    found = getattr(module, class_name, None)
    wanted = _CLASS[kind]
    if not inspect.isclass(found) or not issubclass(found, BasePlugin):
        raise _failed(f"{name} has no plugin class {class_name!r} (entrypoint {entrypoint!r})")
    if not issubclass(found, wanted):
        raise _failed(
            f"{class_name} is no {wanted.__name__}, but its entry stands under {kind.section};"
            " fix: move the entry to the section of its kind"
        )
    if inspect.isabstract(found):
        missing = ", ".join(
            f"{name}()" for name in sorted(getattr(found, "__abstractmethods__", ()))
        )
        raise _failed(f"{class_name} does not define {missing}")
    method = _SYNC.get(kind)
    if method and inspect.iscoroutinefunction(getattr(found, method)):
        raise _failed(f"{class_name}.{method}() is async; fix: write it as a plain method")
    return found


def place(error: BaseException, code: Path) -> str:
    """Return where in the plugin's own code an exception comes from, as ` (file:line)`, or nothing."""
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        if Path(frame.filename).is_relative_to(code):
            return f" ({Path(frame.filename).relative_to(code)}:{frame.lineno})"
    return ""


def _let_siblings_in(code: Path) -> None:
    """Find the plugin's other modules before installed ones, yet never before Python's own."""
    if str(code) in sys.path:
        return
    library = str(Path(traceback.__file__).parent)
    own = {library, f"{library}/lib-dynload"}
    after = [i + 1 for i, entry in enumerate(sys.path) if entry in own]
    sys.path.insert(max(after, default=len(sys.path)), str(code))


def _import(code: Path, name: str) -> ModuleType:
    top, _, rest = name.partition(".")
    taken = top in sys.stdlib_module_names or top in sys.modules or top == "ntp"
    alias = f"ntp_plugin_{top}" if taken else top
    try:
        module = _import_file(code, top, alias)
        return importlib.import_module(f"{alias}.{rest}") if rest else module
    except EndError:
        raise
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        requirement = _DISTRIBUTION.get(missing, missing)
        raise _failed(
            f"{name} needs the module {error.name!r}, which is not installed{place(error, code)};"
            f" fix: add {requirement!r} to requirements"
        ) from error
    except SyntaxError as error:
        where = f"{Path(error.filename).name}:{error.lineno}" if error.filename else name
        raise _failed(f"{where} is not Python: {error.msg}") from error
    except Exception as error:
        # It may have met something that will be there the next time, such as a host.
        raise _failed(
            f"importing {name} raised {type(error).__name__}: {error}{place(error, code)}",
            permanent=False,
        ) from error


def _import_file(code: Path, top: str, alias: str) -> ModuleType:
    spec = _spec(code, top, alias)
    if spec is None or spec.loader is None:
        there = ", ".join(sorted(path.name for path in code.glob("*.py"))) or "no Python file"
        raise _failed(f"the plugin's folder has no module {top!r}; it has {there}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[alias] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[alias]
        raise
    return module


def _spec(code: Path, top: str, alias: str) -> ModuleSpec | None:
    package = code / top / "__init__.py"
    if package.is_file():
        return importlib.util.spec_from_file_location(
            alias, package, submodule_search_locations=[str(package.parent)]
        )
    file = code / f"{top}.py"
    return importlib.util.spec_from_file_location(alias, file) if file.is_file() else None


def _failed(message: str, *, permanent: bool = True) -> EndError:
    return EndError("ImportFailed", message, permanent=permanent)
