"""Following the demo: whatever is gone, it ends by its deadline."""

from types import SimpleNamespace

import pytest

from orchestrator.app.demonstration import Demonstration
from orchestrator.cli import demo_follow
from orchestrator.errors import ActionError, UnreachableError

DEMO = Demonstration(
    declared=SimpleNamespace(settings=None, names=()), symbols={}, synthetic=frozenset()
)


def test_ends_at_its_deadline_though_the_controller_never_answers(monkeypatch):
    asked = []

    def ask(_settings, _what):
        asked.append(1)
        assert len(asked) < 9, "asks on after its deadline"
        raise UnreachableError("hangs")

    monkeypatch.setattr(
        demo_follow, "app", SimpleNamespace(ask=ask, ensure_controller=lambda _settings: False)
    )
    with pytest.raises(ActionError, match="controller does not answer"):
        next(demo_follow.follow(DEMO, None, None, ends=0.0, notice=print))
