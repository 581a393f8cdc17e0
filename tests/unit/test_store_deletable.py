"""Of which plugins it is said that they may go."""

from orchestrator.store.kubernetes.plugin_sets import Set, deletable

DESK = ("pluginset/desk", "plugins:\n  strategies:\n  - name: a\n  - name: b\n")
SMALL = ("pluginset/small", "plugins:\n  strategies:\n  - name: s\n")


def one(file, text, *, allows_deletes=False):
    return Set(file.rpartition("/")[2], "", 1, text, (), allows_deletes)


def test_an_annotation_speaks_of_its_own_plugins_alone():
    sets = one(DESK[0], "{}\n"), one(*SMALL, allows_deletes=True)
    assert deletable((DESK, SMALL), sets) == {"s"}


def test_a_set_that_was_deleted_takes_its_own_plugins_alone():
    assert deletable((DESK, SMALL), (one(DESK[0], "{}\n"),)) == {"s"}
    assert deletable((DESK, SMALL), ()) == {"a", "b", "s"}
    assert deletable((DESK, SMALL), (one(*DESK), one(*SMALL))) == frozenset()
