"""kill -9 of the engine and of the broker under load: no figure is wrong in silence, and nothing is left."""

import json
import random
import tempfile
import time
from pathlib import Path

import pytest

from tests.worlds.demo import PLAYED, Demo
from tests.worlds.engine import REPOSITORY, SETTINGS, OwnEngine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
MINE = ("--all", "--filter", "label=io.ntp.project=demo")
MOMENTS = 5


class Boxed(Demo):
    """A demo whose plugins are containers of `engine`."""

    def __init__(self, cache, tmp, engine, *arguments):
        engine.environment()
        self.engine = engine
        super().__init__(
            cache, tmp, "--runtime", "docker", "-o", "json", *arguments,
            DOCKER_HOST=engine.url, NTP_BASE=str(REPOSITORY / "dist" / "base"),
        )  # fmt: skip

    def trade(self):
        """Go on until ticks flow; return the name of its project in the engine."""
        self.until("the exchange plays")
        self.until("ticks sent")
        [owner] = set(self.containers("{{.Label `io.ntp.owner`}}"))
        return owner

    def containers(self, form):
        return self.engine.run("ps", *MINE, "--format", form).split()

    def left(self, owner):
        """What the engine, folders in memory and its own folder still have of it."""
        found = self.containers("{{.Names}}") + self.engine.run("volume", "ls", "--quiet").split()
        found += self.engine.run("network", "ls", "--quiet", *MINE[1:]).split()
        memory = [
            path for place in ("/run", "/dev/shm") for path in Path(place).glob(f"ntp-{owner}*")
        ]
        return [*found, *map(str, memory), *map(str, self.tmp.iterdir())]


@pytest.fixture
def start(cache, tmp_path):
    # A short folder: what lies in it has Unix sockets.
    with tempfile.TemporaryDirectory() as folder:
        page = ("--page", str(tmp_path / "run.html"))
        yield lambda engine, *more: Boxed(cache, Path(folder), engine, *page, *more)


@pytest.fixture
def own(engine):
    if engine.pid is None:
        pytest.skip("the engine is not ours to kill")
    return engine


@pytest.fixture(scope="module")
def ending(engine):
    """An engine whose containers end with it."""
    if engine.pid is None:
        pytest.skip("the engine is not ours to kill")
    made = OwnEngine({**SETTINGS, "live-restore": False})
    yield made
    made.close()


def insist_whole(demo, code, out):
    """Everything that was played went through every edge, once, and was booked."""
    assert code == 0, "".join(demo.said)
    told = json.loads(out)
    assert told["failures"] == []
    for edge in told["edges"]:
        assert edge["sent"] == edge["received"], edge
    first = [edge for edge in told["edges"] if edge["producer"] == "exchange"]
    assert {edge["symbol"]: edge["sent"] for edge in first} == PLAYED
    assert all(book["fills"] > 0 for book in told["books"])


def insist_told(demo, code, out):
    """What is missing is told as lost, edge by edge, and nothing came twice."""
    if code == 0:
        insist_whole(demo, code, out)
        return
    assert code == 5, "".join(demo.said)
    for edge in json.loads(out)["edges"]:
        assert edge["received"] <= edge["sent"] <= edge["received"] + edge["lost"] + edge["late"], (
            edge
        )
        # A tick that the indicator never saw has no value.
        assert edge["channel"] == "indicator" or edge["sent"] == edge["received"] + edge["lost"], (
            edge
        )


@pytest.mark.parametrize(
    ("speed", "moment_s"),
    [
        ("10", 0.0),
        *(
            pytest.param("5", random.Random(seed).uniform(0, 9), marks=pytest.mark.long)
            for seed in range(MOMENTS)
        ),
    ],
)
def test_the_engine_killed_meanwhile_changes_no_figure(start, own, speed, moment_s):
    demo = start(own, "--speed", speed)
    owner = demo.trade()
    time.sleep(moment_s)  # the moment is what is tried
    own.kill()
    own.start()
    code, out = demo.end()
    insist_whole(demo, code, out)
    assert demo.left(owner) == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(MOMENTS))
def test_the_broker_killed_at_any_moment_loses_nothing_in_silence(start, engine, seed):
    demo = start(engine, "--speed", "2")
    owner = demo.trade()
    time.sleep(random.Random(seed).uniform(0, 15))
    engine.run("kill", "--signal", "KILL", f"ntp-{owner}-broker")
    code, out = demo.end()
    insist_told(demo, code, out)
    assert demo.left(owner) == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(MOMENTS))
def test_plugins_that_end_with_the_engine_run_again(start, ending, seed):
    demo = start(ending, "--speed", "1")
    owner = demo.trade()
    time.sleep(random.Random(seed).uniform(0, 10))
    before = set(demo.containers("{{.ID}}"))
    ending.kill()
    ending.start()
    code, out = demo.end()
    told = json.loads(out)
    assert code == 5, "".join(demo.said)
    for edge in told["edges"]:
        assert edge["received"] <= edge["sent"], edge
        if edge["producer"] == "exchange":
            assert edge["received"] > 0
            assert edge["sent"] == edge["received"] + edge["lost"], edge
    assert before
    assert demo.left(owner) == []
