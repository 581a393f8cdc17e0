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


def test_a_file_whose_lines_end_in_two_characters_may_lose_a_whole_line():
    written = TEXT.replace("\n", "\r\n")
    sources = {"running": ["a", "b", "c"], "kept": ["a", "b"]}
    for cut in ("    - name: c\r\n", "\r\n    - name: c\r\n"):
        new = written.removesuffix(cut)
        found = objection(
            applied=[("plugins.yaml", written)], new=[("plugins.yaml", new)], **sources
        )
        assert found == "", repr(cut)


def test_each_file_is_held_against_what_was_applied_of_it():
    more = "\nplugins:\n  indicators:\n    - name: c\n"
    applied = [("plugins.yaml", TEXT), ("more.yaml", more)]

    def asked(text, beside=TEXT):
        new = [("plugins.yaml", beside), ("more.yaml", text)]
        return objection(applied=applied, new=new, running=["a", "b", "c"], kept=["a", "b"])

    assert asked(more[:-3]).startswith("more.yaml is the applied text cut off")
    for emptied in ("", "\n"):
        assert asked(emptied).startswith("more.yaml is the applied text cut off")
    assert asked(TEXT[:-5]) == "", "the beginning of another file"


def test_a_file_that_stays_as_it_is_may_end_without_a_newline():
    applied = [("plugins.yaml", TEXT), ("more.yaml", "plugins: {}")]
    new = [("plugins.yaml", f"{TEXT}# c is switched off elsewhere\n"), ("more.yaml", "plugins: {}")]
    assert objection(applied=applied, new=new, running=["a", "b", "c"], kept=["a", "b"]) == ""


def test_long_lists_of_names_are_cut():
    names = [f"p{number:02}" for number in range(20)]
    assert objection(applied=[], new=[], running=names, kept=["x"]).endswith(
        "it stops 20 of the 20 plugins that run: p00, p01, p02, p03, p04 and 15 more"
    )


def test_what_is_meant_to_go_takes_the_guard_from_no_other():
    words = {"applied": [], "new": [], "running": ["a", "b", "s"], "meant": ["s"]}
    assert objection(**words, kept=["a", "b"]) == ""
    assert objection(**words, kept=["a"]) == ""
    assert objection(**words, kept=["s"]) == "it stops 2 of the 2 plugins that run: a, b"
    assert "a, b would be stopped" in objection(**words, kept=[])
    assert objection(**words | {"meant": ["a", "b", "s"]}, kept=[]) == ""
