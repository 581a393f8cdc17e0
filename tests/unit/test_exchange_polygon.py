"""Polygon's stocks stream as a state machine, and the synthetic stocks behind it."""

import json
from collections import Counter, defaultdict

import pytest

from ntp.exchange import synthetic
from ntp.exchange.answer import Close, Send
from ntp.exchange.polygon import PolygonSession
from ntp.exchange.rules import Rules


def session(*faults, keys=None, **rules):
    return PolygonSession(
        Rules(**rules), lambda name: name in faults, Counter() if keys is None else keys
    )


def ask(of, action, params):
    return [
        [(item["status"], item["message"]) for item in json.loads(answer.text)]
        if isinstance(answer, Send)
        else answer.code
        for answer in of.receive(json.dumps({"action": action, "params": params}))
    ]


def test_the_sequence_of_a_connection():
    made = session()
    assert json.loads(made.open().text) == [
        {
            "ev": "status",
            "status": "connected",
            "message": "Connected Successfully (synthetic data)",
        }
    ]
    assert ask(made, "auth", "KEY") == [[("auth_success", "authenticated")]]
    assert ask(made, "subscribe", "T.AAPL,Q.AAPL,AM.AAPL") == [
        [("success", "subscribed to: T.AAPL")],
        [("success", "subscribed to: Q.AAPL")],
        [("success", "subscribed to: AM.AAPL")],
    ]
    assert ask(made, "unsubscribe", "Q.AAPL") == [[("success", "unsubscribed to: Q.AAPL")]]
    assert list(made.topics) == ["T.AAPL", "AM.AAPL"]
    assert ask(made, "subscribe", "T.*") == [[("success", "subscribed to: T.*")]]


@pytest.mark.parametrize(
    ("made", "key"),
    [(session(api_key="right"), "wrong"), (session("auth-failed"), "any"), (session(), " ")],
)
def test_a_bad_key(made, key):
    assert ask(made, "auth", key) == [[("auth_failed", "authentication failed")], 1008]
    assert made.key is None


def test_the_one_key_that_is_asked_for():
    assert ask(session(api_key="right"), "auth", "right") == [[("auth_success", "authenticated")]]


def test_auth_that_comes_too_late_or_is_said_to():
    late = [[("auth_timeout", "No authentication request received.")], 1008]
    made = session("auth-timeout")
    assert ask(made, "auth", "KEY") == late
    assert made.late()[1] == Close(1008)


def test_too_many_connections_are_told_after_auth_and_subscription():
    keys = Counter()
    first, second = session(keys=keys), session(keys=keys)
    ask(first, "auth", "KEY")
    assert ask(second, "auth", "KEY") == [[("auth_success", "authenticated")]]
    ack, refusal, code = ask(second, "subscribe", "T.SPY")
    assert ack == [("success", "subscribed to: T.SPY")]
    assert refusal[0][0] == "max_connections"
    assert refusal[0][1].startswith("Maximum number of websocket connections exceeded")
    assert code == 1008
    second.close()
    assert ask(first, "subscribe", "T.SPY") == [[("success", "subscribed to: T.SPY")]]
    other = session("max-connections")
    ask(other, "auth", "ANOTHER")
    assert ask(other, "subscribe", "T.SPY")[-1] == 1008


def test_what_is_not_authorized():
    denied = [[("error", "not authorized")]]
    made = session("not-authorized")
    assert ask(made, "subscribe", "T.SPY") == denied
    ask(made, "auth", "KEY")
    assert ask(made, "subscribe", "T.SPY") == denied
    plain = session()
    ask(plain, "auth", "KEY")
    assert ask(plain, "subscribe", "XQ.SPY") == denied
    assert not plain.topics


@pytest.mark.parametrize("reason", ["slow_consumer", "force_disconnect"])
def test_the_servers_cuts(reason):
    told, close = session().cut(reason)
    assert json.loads(told.text)[0]["status"] == reason
    assert close == Close(1008)


@pytest.mark.parametrize("text", ["", "[]", "7", "{}", '{"action":"auth"}', '{"action":"auth","params":1}', b"\xff", "[" * 100_000])  # fmt: skip
def test_nothing_that_is_sent_breaks_the_machine(text):
    (answer,) = session().receive(text)
    assert json.loads(answer.text)[0]["status"] == "error"


def played(seconds, first_ms=60_000 * 1_000):
    stocks = synthetic.Stocks(synthetic.read())
    events = defaultdict(list)
    for slot in range(seconds * synthetic.SLOTS):
        for event in stocks.step(slot, first_ms + slot * 100):
            events[event.kind, event.symbol].append(event.data)
    return events


def test_every_kind_of_every_symbol_with_its_fields():
    events = played(61)
    assert {symbol for _, symbol in events} == {"SPY", "AAPL", "GOOGL", "MSFT"}
    assert set(events["T", "AAPL"][0]) == {"ev", "sym", "x", "i", "z", "p", "s", "c", "t", "q"}
    assert set(events["Q", "AAPL"][0]) == {
        "ev",
        "sym",
        "bx",
        "bp",
        "bs",
        "ax",
        "ap",
        "as",
        "c",
        "i",
        "t",
        "q",
        "z",
    }
    assert set(events["AM", "AAPL"][0]) == {
        "ev",
        "sym",
        "v",
        "av",
        "op",
        "vw",
        "o",
        "c",
        "h",
        "l",
        "a",
        "z",
        "s",
        "e",
    }
    assert events["A", "AAPL"][0].keys() == events["AM", "AAPL"][0].keys()
    for quote in events["Q", "SPY"]:
        assert quote["bp"] < quote["ap"]
    numbers = [event["q"] for event in (*events["T", "SPY"], *events["Q", "SPY"])]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def test_a_minute_adds_up_to_its_trades():
    events = played(61)
    (minute,) = events["AM", "SPY"]
    trades = [trade for trade in events["T", "SPY"] if minute["s"] <= trade["t"] < minute["e"]]
    prices = [trade["p"] for trade in trades]
    assert minute["e"] - minute["s"] == 60_000
    assert (minute["o"], minute["c"]) == (prices[0], prices[-1])
    assert (minute["h"], minute["l"]) == (max(prices), min(prices))
    assert minute["v"] == minute["av"] == sum(trade["s"] for trade in trades)
    assert minute["v"] == sum(second["v"] for second in events["A", "SPY"][:60])
    assert minute["vw"] == pytest.approx(
        sum(t["p"] * t["s"] for t in trades) / minute["v"], abs=1e-4
    )


def test_one_run_is_as_the_other():
    assert played(3) == played(3)


def test_a_path_comes_back_without_a_jump():
    path = [10.0, 11.0, 12.0]
    prices = [synthetic.price_at(path, slot) for slot in range(0, 61, 5)]
    assert prices == [10, 10.5, 11, 11.5, 12, 11.5, 11, 10.5, 10, 10.5, 11, 11.5, 12]
