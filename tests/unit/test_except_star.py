"""Python before 3.11.4 (Debian's 3.11.2 too) wraps what is raised in `except*` into a group, which nobody expects."""

import ast
from pathlib import Path

import pytest

from orchestrator.errors import ActionError, ConflictError, ungrouped

ROOT = Path(__file__).parents[2]


def raising():
    """Every place that raises in an `except*`."""
    for folder in ("orchestrator", "plugin-images/sdk/ntp"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                handlers = node.handlers if isinstance(node, ast.TryStar) else ()
                for inner in (each for handler in handlers for each in ast.walk(handler)):
                    if isinstance(inner, ast.Raise):
                        yield f"{file.relative_to(ROOT)}:{inner.lineno}"


def test_nothing_is_raised_in_one():
    assert list(raising()) == []


def test_the_first_of_our_errors_comes_out_of_its_groups():
    one, other = ActionError("one"), ConflictError("other")
    with pytest.raises(ActionError) as caught, ungrouped():
        raise ExceptionGroup("", [ExceptionGroup("", [one]), other])
    assert caught.value is one


@pytest.mark.parametrize("bug", [ValueError("a bug"), ExceptionGroup("", [KeyError("a bug")])])
def test_a_bug_among_them_hides_behind_none(bug):
    group = ExceptionGroup("", [ActionError("one"), bug])
    with pytest.raises(ExceptionGroup) as caught, ungrouped():
        raise group
    assert caught.value is group


def test_what_is_no_group_and_what_goes_well_pass():
    with ungrouped():
        pass
    with pytest.raises(KeyError), ungrouped():
        raise KeyError("alone")
