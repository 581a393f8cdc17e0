"""`--output json` and `yaml`: one document a command, of the shapes that docs/json.md describes."""

import asyncio
import json
import re
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from ntp.contract.names import Channel
from orchestrator.cli.demo_report import Book, EdgeCount, Summary, document
from orchestrator.control.protocol import SOCKET
from orchestrator.control.server import serving
from orchestrator.decide import alerts
from orchestrator.monitor.payload import payload
from tests.worlds.house import FLEET, House
from tests.worlds.users import plain

DOCUMENT = (Path(__file__).parents[2] / "docs" / "json.md").read_text()


def shapes() -> dict[str, dict[str, str]]:
    """Shape -> key -> the words about its value."""
    found = {}
    for section in DOCUMENT.split("\n### ")[1:]:
        name, _, rest = section.partition("\n")
        rows = re.findall(r"^\| (`.+?) \| (.+) \|$", rest, re.MULTILINE)
        found[name] = {key: value for keys, value in rows for key in re.findall(r"`(\w+)`", keys)}
    return found


SHAPES = shapes()


def deviations(value, shape, place="") -> list[str]:
    """Say where a printed value has other keys than its shape, all the way down."""
    if not isinstance(value, dict):
        return [f"{place or shape}: {value!r} is no {shape}"]
    if value.keys() != SHAPES[shape].keys():
        return [f"{place or shape}: {sorted(value.keys() ^ SHAPES[shape].keys())}"]
    told = []
    for key, words in SHAPES[shape].items():
        one = re.match(r"(\[?)([A-Z]+)\b", words)
        if one is None or value[key] is None:
            continue
        for each in value[key] if one[1] else [value[key]]:
            told += deviations(each, one[2], f"{place or shape}.{key}")
    return told


class Desk:
    """A project whose controller runs here, and ntpctl as a command."""

    def __init__(self, folder: Path, house: House) -> None:
        self.folder, self.house = folder, house

    async def ntpctl(self, *arguments, code=0, lines=None):
        """Return what it printed: all, or as soon as there are so many `lines`."""
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "orchestrator", *arguments, "--project", "desk",
            cwd=self.folder,
            env={**plain(), "NTP_STATE": str(self.folder)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(60):
            if lines is not None:
                read = [(await child.stdout.readline()).decode() for _ in range(lines)]
                child.terminate()
                await child.communicate()
                return "".join(read)
            out, err = await child.communicate()
        assert child.returncode == code, (out, err)
        self.said = err.decode()
        return out.decode()

    async def json(self, *arguments, code=0):
        return json.loads(await self.ntpctl(*arguments, "-o", "json", code=code))


@pytest.fixture
def desk(tmp_path):
    @asynccontextmanager
    async def opened(*, applied=True):
        house = House(tmp_path / "desk")
        house.folder.mkdir()
        (tmp_path / "plugins.yaml").write_text(FLEET)
        async with (
            house.controlled() as controller,
            serving(house.folder / SOCKET, controller),
        ):
            if applied:
                await house.apply()
            yield Desk(tmp_path, house)

    return opened


async def test_what_a_command_prints_has_the_documented_keys(desk):
    async with desk() as at:
        await at.house.until("bollinger", lambda status: status.flow is not None)
        at.house.machine.end("momentum", code=3)
        await at.house.until("momentum", lambda status: status.last_exit and status.ready)
        (at.folder / "plugins.yaml").write_text(FLEET.replace("period: 20", "period: 30"))
        (at.folder / "bad.yaml").write_text("plugins: [\n")
        for _ in range(2):
            at.house.broker.letters.put("paper", "bollinger")

        for shape, code, *command in (
            ("VALIDATION", 2, "validate", "-f", "bad.yaml"),
            ("PREVIEW", 6, "plan"),
            ("PREVIEW", 6, "apply", "--dry-run"),
            ("PREVIEW", 2, "apply", "-f", "bad.yaml"),
            ("PREVIEW", 2, "plan", "-f", "nowhere.yaml"),
            ("PROJECT", 0, "status"),
            ("PROJECT", 0, "status", "momentum"),
            ("EVENTS", 0, "events"),
            ("LINES", 0, "logs", "paper", "-n", "2"),
            ("LETTERS", 0, "dlq", "list"),
            ("OPENED", 0, "dlq", "show", "paper/1"),
            ("DISPOSED", 0, "dlq", "retry", "paper/1"),
            ("DISPOSED", 0, "dlq", "drop", "paper/2", "--yes"),
            ("DISPOSED", 5, "dlq", "drop", "paper/2", "--yes"),
            ("DIFF", 6, "diff"),
            ("OUTCOME", 0, "apply"),
            ("REVISIONS", 0, "history"),
            ("REVISION", 0, "history", "1"),
            ("OUTCOME", 0, "rollback"),
            ("OUTCOME", 0, "rollback", "1"),
            ("OUTCOME", 0, "stop", "paper"),
            ("OUTCOME", 5, "start", "paper", "--deadline", "0"),
            ("DOCTOR", 0, "doctor"),
        ):
            assert deviations(await at.json(*command, code=code), shape) == [], command


def test_what_the_demo_prints_has_the_documented_keys():
    edge = EdgeCount("feed", "alpha", Channel.DATA, "BTCUSDT", 3, 3, 0, 0)
    book = Book("paper", "alpha", 3, 2, 2, *[Decimal("1.25")] * 4)
    printed = document(
        Summary([edge], [book], {"alpha": 1}), ["no tick arrived anywhere"], page="page.html"
    )

    assert deviations(printed, "DEMO") == []
    assert printed["books"][0]["equity"] == "1.25"


def test_what_a_webhook_receives_has_the_documented_keys():
    alert = alerts.test("desk", datetime.now(UTC))

    assert deviations(json.loads(payload(alert)), "ALERT") == []


async def test_many_names_are_one_document(desk):
    async with desk() as at:
        found = await at.json("restart", "momentum", "bollinger", "momentum")

        assert deviations(found, "OUTCOME") == []
        assert [each["name"] for each in found["plugins"]] == ["momentum", "bollinger"]
        assert found["ready"]


async def test_one_unknown_name_and_none_is_touched(desk):
    async with desk() as at:
        before = list(at.house.machine.history)
        for verb in ("restart", "stop", "start"):
            assert await at.ntpctl(verb, "momentum", "bogus", "bogs", code=5) == ""
            assert "no plugin is named 'bogus', 'bogs'; there are: binance_data, " in at.said

        await at.house.passes(3)
        assert at.house.machine.history == before
        assert "StoppedByHand" not in await at.house.reasons("momentum")


async def test_what_is_followed_is_a_document_each(desk):
    async with desk() as at:
        first = await at.ntpctl("events", "-f", "-o", "json", lines=1)
        many = await at.ntpctl("events", "-f", "-o", "yaml", lines=14)
        log = await at.ntpctl("logs", "-f", "paper", "-o", "yaml", lines=8)

        assert deviations(json.loads(first), "EVENT") == []
        assert [deviations(each, "EVENT") for each in yaml.safe_load_all(many)] == [[], []]
        assert [deviations(each, "LINE") for each in yaml.safe_load_all(log)] == [[], []]


async def test_a_dry_run_tells_what_apply_would_refuse(desk):
    async with desk() as at:
        (at.folder / "plugins.yaml").write_text(FLEET[: FLEET.index("  strategies:")])
        plan = await at.ntpctl("plan", code=6)
        said = at.said
        dry = await at.ntpctl("apply", "--dry-run", code=6)

        assert dry == plan
        assert at.said == said
        assert "apply will refuse: " in said


async def test_where_nothing_runs_down_is_a_document_too_and_names_what_it_removes(tmp_path):
    (tmp_path / "desk" / "storage" / "paper").mkdir(parents=True)
    at = Desk(tmp_path, House(tmp_path / "desk"))
    plain = await at.json("down")
    await at.ntpctl("down")
    assert "storage kept: paper; `down --delete-data` removes it" in at.said
    gone = await at.ntpctl("down", "--delete-data", "--yes")
    assert gone == ""
    assert "storage removed for good: paper" in at.said
    again = await at.json("down", "--delete-data", "--yes")

    assert deviations(plain, "DOWN") == []
    assert (plain["kept"], plain["deleted"]) == (["paper"], [])
    assert again == {"removed": [], "kept": [], "deleted": []}


async def test_dead_letters_are_listed_shown_and_not_dropped_unasked(desk):
    async with desk() as at:
        put = at.house.broker.letters.put
        put("paper", "bollinger", b'{"id": "b:BTC:7:0"}', symbol="BTC", signal="b:BTC:7:0")
        put("paper", "momentum", b"{", reason="EndedReceiver", tries=5, message="OOMKilled")
        await at.house.until("paper", lambda status: status.dead_letters == 2)
        listed = (await at.ntpctl("dlq", "list")).splitlines()
        assert listed[0].split() == ["ID", "SENDER", "SYMBOL", "REASON", "WHEN", "TRIES", "MESSAGE"]
        assert listed[1].split()[:4] == ["paper/1", "bollinger", "BTC", "Unreadable"]
        assert listed[2].split()[-2:] == ["5", "OOMKilled"]
        assert await at.ntpctl("dlq", "list", "momentum") == ""
        assert "no plugin is named" in (await at.ntpctl("dlq", "list", "bogus", code=5)) + at.said
        shown = await at.ntpctl("dlq", "show", "paper/1")
        assert "goes to paper alone, behind what waits there" in shown
        assert shown.endswith('{\n  "id": "b:BTC:7:0"\n}\n')
        assert "dead letters 2; `ntpctl dlq list paper`" in await at.ntpctl("status", "paper")
        await at.ntpctl("dlq", "drop", "--all", code=2)
        assert "confirm it with --yes" in at.said
        await at.ntpctl("dlq", "retry", code=2)
        assert "which ones?" in at.said
        assert await at.ntpctl("dlq", "retry", "paper/2") == "paper/2 sent once more\n"
        assert await at.ntpctl("dlq", "drop", "--all", "--yes") == "paper/1 dropped\n"
        assert await at.ntpctl("dlq", "drop", "--all", "--yes") == ""
        assert at.said == "there are no dead letters\n"
