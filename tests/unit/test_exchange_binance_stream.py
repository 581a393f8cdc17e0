"""Binance's market streams as a state machine: requests in, answers out."""

import json

import pytest

from ntp.exchange.answer import Close
from ntp.exchange.binance_stream import BinanceSession, serves
from ntp.exchange.event import Event
from ntp.exchange.rules import Rules


def session(path="/ws"):
    made = BinanceSession(Rules())
    assert made.open(path) is None
    return made


def ask(of, request):
    (answer,) = of.receive(request if isinstance(request, str) else json.dumps(request))
    return json.loads(answer.text)


def refusal(of, request):
    return ask(of, request)["error"]


@pytest.mark.parametrize(
    ("path", "streams", "combined"),
    [
        ("/ws", [], False),
        ("/ws/btcusdt@trade", ["btcusdt@trade"], False),
        ("/ws/btcusdt@trade/ethusdt@depth@100ms", ["btcusdt@trade", "ethusdt@depth@100ms"], False),
        ("/ws/0", [], False),
        ("/stream", [], True),
        ("/stream?streams=btcusdt@trade/ethusdt@bookTicker", ["btcusdt@trade", "ethusdt@bookTicker"], True),
        ("/stream?streams=btcusdt%40trade&timeUnit=MICROSECOND", ["btcusdt@trade"], True),
    ],
)  # fmt: skip
def test_a_path_names_streams_and_the_form(path, streams, combined):
    made = session(path)
    assert serves(path)
    assert list(made.streams) == streams
    assert made.combined is combined
    assert made.micro is ("MICROSECOND" in path)


@pytest.mark.parametrize("path", ["/", "/wsx", "/streams", "/stocks", "/api/v3/ping"])
def test_other_paths_are_not_market_streams(path):
    assert not serves(path)


def test_subscribe_list_and_unsubscribe():
    made = session()
    streams = ["btcusdt@aggTrade", "btcusdt@depth"]
    assert ask(made, {"method": "SUBSCRIBE", "params": streams, "id": 1}) == {
        "result": None,
        "id": 1,
    }
    assert ask(made, {"method": "UNSUBSCRIBE", "params": ["btcusdt@depth"], "id": 312}) == {
        "result": None,
        "id": 312,
    }
    assert ask(made, {"method": "LIST_SUBSCRIPTIONS", "id": 3}) == {
        "result": ["btcusdt@aggTrade"],
        "id": 3,
    }


@pytest.mark.parametrize(
    "number", [0, -1, 2**63 - 1, -(2**63), "a1", "5f0c6a51-6c5c-4b3c-9e9c-0f3c7f1d2b3a", None]
)
def test_ids_come_back_as_they_were(number):
    assert ask(session(), {"method": "LIST_SUBSCRIPTIONS", "id": number}) == {
        "result": [],
        "id": number,
    }


@pytest.mark.parametrize("number", [2**63, 1.5, True, "x" * 37, "a b", [], {}])
def test_other_ids_are_refused(number):
    error = refusal(session(), {"method": "LIST_SUBSCRIPTIONS", "id": number})
    assert error == {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"}


def test_the_combined_property_is_told_and_set():
    made = session("/stream")
    assert ask(made, {"method": "GET_PROPERTY", "params": ["combined"], "id": 2}) == {
        "result": True,
        "id": 2,
    }
    ask(made, {"method": "SET_PROPERTY", "params": ["combined", False], "id": 5})
    assert made.combined is False
    assert session("/ws").combined is False


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        ({"method": "GET_PROPERTY", "params": ["colour"], "id": 1}, 0, "Unknown property"),
        ({"method": "SET_PROPERTY", "params": ["colour", True], "id": 1}, 0, "Unknown property"),
        ({"method": "SET_PROPERTY", "params": ["combined", "yes"], "id": 1}, 1, "Invalid value type: expected Boolean"),
        ({"method": "SET_PROPERTY", "params": ["combined"], "id": 1}, 1, "Invalid value type: expected Boolean"),
        ({"method": "SET_PROPERTY", "params": [1, True], "id": 1}, 2, "Invalid request: property name must be a string"),
        ({"method": "GET_PROPERTY", "id": 1}, 2, "Invalid request: property name must be a string"),
        ({"method": "GET_PROPERTY", "params": ["combined", 1], "id": 1}, 2, "Invalid request: too many parameters"),
        ({"method": "SUBSCRIBE", "params": ["btcusdt"], "id": 1}, 2, "Invalid request: invalid stream"),
        ({"method": "SUBSCRIBE", "params": [7], "id": 1}, 2, "Invalid request: invalid stream"),
        ({"method": "SUBSCRIBE", "params": "btcusdt@trade", "id": 1}, 2, "Invalid request: invalid type, expected a sequence of params"),
        ({"method": "LIST", "id": 1}, 2, "Invalid request: unknown variant `LIST`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`"),
        ('{"id": 1}', 2, "Invalid request: missing field `method` at line 1 column 9"),
    ],
)  # fmt: skip
def test_a_refusal_is_enveloped_with_its_code_and_id(request_, code, message):
    made = session()
    assert ask(made, request_) == {"error": {"code": code, "msg": message}, "id": 1}
    assert not made.streams


@pytest.mark.parametrize(("text", "column"), [("", 1), ("{", 2), ('{"method": }', 12), ("nope", 1)])
def test_broken_json_is_told_with_its_place(text, column):
    assert refusal(session(), text) == {
        "code": 3,
        "msg": f"Invalid JSON: expected value at line 1 column {column}",
    }


@pytest.mark.parametrize("text", ["[" * 100_000, b"\xff\xfe", "[]", "7", "null"])
def test_nothing_that_is_sent_breaks_the_machine(text):
    (answer,) = session().receive(text)
    assert json.loads(answer.text)["error"]["code"] in (2, 3)


def test_a_stream_of_an_unknown_symbol_is_acknowledged():
    made = session()
    assert ask(made, {"method": "SUBSCRIBE", "params": ["nosuch@trade"], "id": 9}) == {
        "result": None,
        "id": 9,
    }


def test_five_messages_a_rolling_second():
    made = session()
    assert [made.counted(at) for at in (0.0, 0.5, 0.6, 0.7, 0.8)] == [None] * 5
    # A new clock second does not help: the first has passed, four and this one lie within one second.
    assert made.counted(1.01) is None
    assert made.counted(1.1) == Close(1008, "Too many requests")
    assert made.counted(3.0) is None


def test_at_most_1024_streams():
    names = [f"s{number}@trade" for number in range(1024)]
    made = session()
    assert ask(made, {"method": "SUBSCRIBE", "params": names, "id": 1})["result"] is None
    assert (
        "too many" in refusal(made, {"method": "SUBSCRIBE", "params": ["one@more"], "id": 2})["msg"]
    )
    assert len(made.streams) == 1024
    over = BinanceSession(Rules())
    assert over.open("/stream?streams=" + "/".join([*names, "one@more"])) == Close(
        1008, "Too many streams"
    )


def test_events_are_wrapped_in_combined_form_and_answers_are_not():
    event = Event("btcusdt@trade", {"e": "trade", "E": 1, "T": 2, "s": "BTCUSDT"})
    raw, combined = session("/ws"), session("/stream")
    assert json.loads(raw.text(event)) == event.data
    assert json.loads(combined.text(event)) == {"stream": "btcusdt@trade", "data": event.data}
    assert set(ask(combined, {"method": "LIST_SUBSCRIPTIONS", "id": 1})) == {"result", "id"}


def test_times_in_microseconds():
    event = Event("x@kline_1m", {"e": "kline", "E": 5, "k": {"t": 1, "T": 2, "i": "1m"}})
    made = session("/ws?timeUnit=microsecond")
    assert json.loads(made.text(event)) == {
        "e": "kline",
        "E": 5000,
        "k": {"t": 1000, "T": 2000, "i": "1m"},
    }
    assert event.data["E"] == 5


def test_the_shutdown_announcement():
    plain = {"e": "serverShutdown", "E": 1_770_123_456_789}
    assert json.loads(session("/ws").shutdown(plain["E"]).text) == plain
    assert json.loads(session("/stream").shutdown(plain["E"]).text) == {
        "stream": "!serverShutdown",
        "data": plain,
    }
