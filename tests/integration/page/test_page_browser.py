"""The page in a real browser: it is drawn, it answers to the mouse, and it asks nobody for anything."""

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ntp.contract.messages import (
    Fill,
    FillReason,
    MarketData,
    Side,
    SignalMessage,
    SignalType,
    TickRef,
    TradingSignal,
)
from ntp.page import Run, Track, render
from tests.worlds.environment import absent, python_with

HERE = Path(__file__).parent
START = datetime(2024, 8, 8, 12, tzinfo=UTC)

pytestmark = [pytest.mark.network, pytest.mark.timeout(400)]


@pytest.fixture
def seen(pytestconfig, tmp_path):
    """Show a run to a browser, in light and in dark; return what was seen."""

    def see(run: Run) -> list[dict]:
        browser = shutil.which("chromium") or shutil.which("chromium-browser")
        if browser is None:
            absent("programs", "there is no chromium here")
        python = python_with(pytestconfig.cache.mkdir("browser"), HERE / "playwright.txt")
        page = tmp_path / "page.html"
        page.write_text(render(run), encoding="utf-8")
        done = subprocess.run(
            [python, HERE / "look.py", browser, page.as_uri()],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return see


def a_run() -> Run:
    def at(second: int) -> datetime:
        return START + timedelta(seconds=second)

    tracks = [Track("one", "BTC/USDT"), Track("two", "AAPL", note="synthetic")]
    for second in range(600):
        for track, price in zip(tracks, (60_000 + second % 37, 190 - second / 100), strict=True):
            track.add(MarketData(at(second), track.symbol, price, 1.0))
    signals, fills = [], []
    for number, second in enumerate(range(290, 330, 3)):
        tick = TickRef("one", "BTC/USDT", second, str(second), at(second))
        kind = SignalType.BUY if second % 2 else SignalType.SELL
        wish = TradingSignal("BTC/USDT", kind, 0.5, 60_010.0)
        signals.append(SignalMessage(f"s{second}", "alpha", "1", second, tick, wish))
        fills.append(
            Fill(f"f{second}", f"s{second}", "paper", "alpha", "BTC/USDT", Side.SELL if number % 2 else Side.BUY, Decimal("0.01"),
                 Decimal(60_012 + second * second % 11), Decimal("0.6"), Decimal(0), FillReason.SIGNAL, at(second + 1), "t")
        )  # fmt: skip
    return Run("seen <by> a browser", tracks, signals, fills, {"alpha": Decimal(10_000)})


def test_a_browser_draws_it_in_light_and_dark_and_is_asked_for_nothing(seen):
    light, dark = seen(a_run())

    for view in (light, dark):
        assert view["said"] == []
        assert [address.partition(":")[0] for address in view["asked"]] == ["file"]
        assert view["heading"] == "seen <by> a browser"
        assert len(view["lines"]) == 5  # two prices, equity, drawdown, exposure
        assert min(view["lines"]) > 0.95, "from the left to the right"
        assert not view["wide"], "nobody has to scroll sideways"
        assert view["tip"].startswith("2024-08-08 12:0")
        assert "price 60,0" in view["tip"]
        assert "alpha: " in view["tip"]
        assert view["zoom changes it"]
        assert view["and back"]
        assert view["without fills"]
        assert view["sorted"] == ["descending", "ascending"]
        assert view["on paper"] == light["paper"], "paper is light"
        assert view["still"] == 5
    assert light["paper"] != dark["paper"]
