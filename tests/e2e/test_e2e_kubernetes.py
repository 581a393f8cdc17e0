"""The chart on a real cluster: installed, looked at, changed, and gone without a trace."""

import pytest

from tests.worlds.release import Release

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]  # its images alone take a minute and more
EXCHANGE = "ntp-exchange:9443"
DEMO = {
    "exchange": {"enabled": True},
    "secrets": {"POLYGON_API_KEY": "any"},
    "plugins": {
        "data_sources": [
            {
                "name": "binance_data",
                "config": {"stream_url": f"ws://{EXCHANGE}/ws", "symbols": ["BTCUSDT"]},
            },
            {
                "name": "polygon_data",
                "config": {
                    "api_key": "${POLYGON_API_KEY}",
                    "stream_url": f"ws://{EXCHANGE}/stocks",
                    "symbols": ["AAPL"],
                },
            },
        ],
        "strategies": [{"name": "momentum_strategy", "config": {"lookback": 4, "threshold": 0.6}}],
        "executors": [{"name": "paper_executor"}],
    },
}
TIMID = {"name": "momentum_strategy", "config": {"lookback": 5, "threshold": 0.6}}

GLUTTON = {"name": "glutton", "plugin": "momentum_strategy", "resources": {"memory": "16MB"}}


@pytest.fixture(scope="module")
def release(knowing, tmp_path_factory):
    with knowing.namespace() as namespace:
        made = Release(knowing, namespace, tmp_path_factory.mktemp("release"))
        made.install(DEMO)
        made.until_ready(4)
        yield made


def test_a_release_trades_and_ends_without_a_trace(release):
    """One story: each step needs the one before."""
    # What a person looks at.
    found = release.until(lambda: _traded(release))
    assert {name: each["state"] for name, each in found.items()} == dict.fromkeys(found, "Running")
    assert found["binance_data"]["egress_refused"] == {}
    table = release.ntpctl("status")
    assert "paper_executor" in table
    assert "Running" in table
    assert "feed.open" in release.ntpctl("logs", "binance_data")
    # Of a namespace with plugins, `helm test` has them all ready.
    told = release.helm("test", "ntp", "--logs")
    assert "Succeeded" in told
    assert "it works" in told

    # One changed plugin: the others, and NATS, keep their pods; so does a rollback.
    before = release.pods()
    changed = {**DEMO, "plugins": {**DEMO["plugins"], "strategies": [TIMID]}}
    release.upgrade(changed)
    after = release.until(lambda: _with_another(release, before, "momentum-strategy-0"))
    assert {name for name in before if before[name] != after.get(name)} == {"momentum-strategy-0"}
    release.until_ready(4)
    release.helm("rollback", "ntp", "1")
    last = release.until(lambda: _with_another(release, after, "momentum-strategy-0"))
    assert {name for name in before if before[name] != last.get(name)} == {"momentum-strategy-0"}
    release.until_ready(4)

    # One that takes too much is killed, and says so in the words of Docker; the others go on.
    release.upgrade({**DEMO, "plugins": {**DEMO["plugins"], "strategies": [*DEMO["plugins"]["strategies"], GLUTTON]}})  # fmt: skip
    killed = release.until(lambda: _state(release, "glutton", "OOMKilled"))
    assert "limit 16 MiB" in killed["message"]
    assert release.plugins()["momentum_strategy"]["ready"]

    release.helm("uninstall", "ntp")
    release.until(lambda: not release.left())


def _traded(release):
    found = release.plugins()
    books = found["paper_executor"]["report"]
    strategy = found["momentum_strategy"]
    return found if strategy["signal"] and books and strategy["flow"]["received"] else None


def _with_another(release, before, name):
    now = release.pods()
    return now if now.get(name, before[name]) != before[name] else None


def _state(release, name, state):
    found = release.plugins().get(name)
    return found if found and found["state"] == state else None
