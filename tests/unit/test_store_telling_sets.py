"""Each PluginSet is told how it is: of the revision that was decided, and whatever becomes of the others."""

from datetime import UTC, datetime

from orchestrator.decide.report import PluginStatus, ProjectStatus
from orchestrator.errors import ActionError
from orchestrator.store.kubernetes.plugin_sets import Set
from orchestrator.store.kubernetes.set_status import Decision, status_of
from orchestrator.store.kubernetes.telling_sets import TellingSets

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def plugin_set(name, generation=1):
    return Set(name, f"uid-{name}", generation, "plugins: {}\n", ("momentum",))


def project(revision):
    one = PluginStatus(
        name="momentum",
        kind="strategy",
        plugin="momentum",
        version="1",
        state="Running",
        message="",
        ready=True,
        generation=1,
        restarts=0,
        place="",
    )
    return ProjectStatus("desk", revision, NOON, [], [one])


def conditions(status):
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def test_what_was_ready_before_an_edit_is_not_told_of_the_edit():
    one = plugin_set("desk", generation=2)
    decision = Decision(((one.file, one.text),), revision=2)
    status = status_of(one, decision, project(1), {})
    assert status["observedGeneration"] == 2
    assert conditions(status) == {
        "Ready": ("False", "Applied"),
        "Reconciling": ("True", "Applied"),
        "Stalled": ("False", "Applied"),
    }
    status = status_of(one, decision, project(2), status)
    assert conditions(status)["Ready"] == ("True", "AllReady")


class Written:
    """PluginSets that are there, and a cluster that refuses the status of one of them."""

    def __init__(self, *names, refused):
        self.sets = tuple(plugin_set(each) for each in names)
        self.refused = refused
        self.asked = []

    async def look(self):
        return self.sets

    def take(self, body):
        pass

    async def apply(self, _kind, body, **_):
        name = body["metadata"]["name"]
        self.asked.append(name)
        if name == self.refused:
            raise ActionError("the status is too large", reason="Invalid")
        return body


async def test_one_whose_status_is_refused_is_left_alone_and_the_others_are_told():
    written = Written("a", "b", "c", refused="a")
    telling = TellingSets(written, written, lambda: project(1))
    await telling._tell()
    await telling._tell()
    assert written.asked == ["a", "b", "c"]
    assert telling.writes == 2
