"""Which files need a second word."""

import pytest

from orchestrator.decide.guard import objection

TEXT = "plugins:\n  strategies:\n    - name: a\n    - name: b\n    - name: c\n"


def ask(new, kept, running=("a", "b", "c")):
    sources = [("plugins.yaml", new)]
    return objection(applied=[("plugins.yaml", TEXT)], new=sources, running=running, kept=kept)


@pytest.mark.parametrize("kept", [{"a", "b", "c"}, {"a", "b", "c", "d"}])
def test_what_stops_nobody_needs_no_second_word(kept):
    assert ask("anything", kept) == ""


def test_half_of_what_runs_may_go_and_more_may_not():
    assert ask("new", {"a", "b"}) == ""
    assert objection(applied=[], new=[], running=["a", "b"], kept=["a"]) == ""
    assert ask("new", {"a"}) == "it stops 2 of the 3 plugins that run: b, c"


def test_a_file_without_plugins_is_named():
    assert ask("plugins: {}", set()) == "it declares no plugin at all, and a, b, c would be stopped"


def test_a_file_cut_off_within_a_line_is_noticed_even_if_it_stops_few():
    assert "cut off in the middle of a line" in ask(TEXT[:-5], {"a", "b"})
    assert ask(TEXT[: TEXT.index("    - name: c")], {"a", "b"}) == "", "a whole line may be deleted"
    assert ask(TEXT[:-1], {"a", "b"}) == "", "only the last newline is gone"


def test_long_lists_of_names_are_cut():
    names = [f"p{number:02}" for number in range(20)]
    assert objection(applied=[], new=[], running=names, kept=["x"]).endswith(
        "it stops 20 of the 20 plugins that run: p00, p01, p02, p03, p04 and 15 more"
    )
