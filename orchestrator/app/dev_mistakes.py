"""What is wrong with a save, told by the place in the file that was saved."""

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.catalog.lying import Lying
from orchestrator.errors import Problem

_LINE = re.compile(r"(?P<file>[^\n:]+): line (?P<line>[0-9]+): (?P<rest>.*)", re.DOTALL)
"""How the catalog words what a lone file said of itself; the place is its entry's."""


def near(file: str) -> str:
    """Return a file's name as somebody who stands here would call it."""
    here, path = Path.cwd(), Path(file)
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


def syntax(there: Mapping[str, Lying]) -> list[Problem]:
    """Return every file of these plugins that is no Python; nothing of it is run."""
    found: set[Problem] = set()
    for lying in there.values():
        for name, content in lying.files.items():
            if name.endswith(".py"):
                found.update(_parsed(near(lying.called(name)), content))
    return sorted(found)


def _parsed(shown: str, content: bytes) -> Iterator[Problem]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape is the author's business
            ast.parse(content)
    except SyntaxError as error:
        line, column = error.lineno or 0, error.offset or 0
        yield Problem(shown, line, column, f"it is not Python: {error.msg}", "correct the line")
    except (ValueError, RecursionError, MemoryError) as error:
        words = str(error) or "nested too deep"
        yield Problem(shown, 0, 0, f"it is not Python: {words}", "correct the file")


def of_these(problems: Iterable[Mapping[str, Any]], names: Iterable[str]) -> list[Problem]:
    """Return those of a preview's entry problems that concern these entries."""
    wanted = set(names)
    found = (Problem(**each) for each in problems)
    return [at_its_line(each) for each in found if each.entry in wanted]


def at_its_line(problem: Problem) -> Problem:
    """Return a problem of a lone file with the place in that file instead of that of its entry."""
    said = _LINE.fullmatch(problem.message)
    if said is None:
        return problem
    return replace(
        problem, file=near(said["file"]), line=int(said["line"]), column=1, message=said["rest"]
    )
