"""Of which plugins it is said that they may go."""

from orchestrator.store.kubernetes.plugin_sets import ALLOW_DELETES, Set, deletable

DESK = ("pluginset/desk", "plugins:\n  strategies:\n  - name: a\n  - name: b\n")
SMALL = ("pluginset/small", "plugins:\n  strategies:\n  - name: s\n")


def one(file, text, **annotations):
    name = file.rpartition("/")[2]
    return Set(name, 1, text, {"metadata": {"annotations": annotations}})


def test_an_annotation_speaks_of_its_own_plugins_alone():
    sets = one(DESK[0], "{}\n"), one(*SMALL, **{ALLOW_DELETES: "true"})
    assert deletable((DESK, SMALL), sets) == {"s"}


def test_a_set_that_was_deleted_takes_its_own_plugins_alone():
    assert deletable((DESK, SMALL), (one(DESK[0], "{}\n"),)) == {"s"}
    assert deletable((DESK, SMALL), ()) == {"a", "b", "s"}
    assert deletable((DESK, SMALL), (one(*DESK), one(*SMALL))) == frozenset()
