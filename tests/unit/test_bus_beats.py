from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from ntp.contract import CONTRACT
from ntp.contract.beat import Beat, Condition, Flow, Pushed, Stage
from ntp.contract.names import Channel
from orchestrator.bus.beats import FLOODING, MISMATCH, BeatBook

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def beat(number: int, *, incarnation: str = "a", started: datetime = NOON, **more) -> bytes:
    values = {
        "instance": "beta",
        "kind": "strategy",
        "generation": 1,
        "at": NOON,
        "stage": Stage.READY,
        **more,
    }
    return msgspec.json.encode(
        Beat(incarnation=incarnation, number=number, started=started, **values)
    )


def test_a_beat_is_kept_with_the_time_of_its_arrival():
    book = BeatBook()
    assert book.take("beta", beat(1), NOON)
    assert not book.take("beta", beat(2), NOON + timedelta(seconds=1)), "nothing changed"
    kept, at = book.all()["beta"]
    assert (kept.number, at) == (2, NOON + timedelta(seconds=1))


def test_what_matters_is_told():
    book = BeatBook()
    book.take("beta", beat(1), NOON)
    assert book.take("beta", beat(2, stage=Stage.DRAINING), NOON)
    assert book.take("beta", beat(3, stage=Stage.DRAINING, pushed=Pushed(2)), NOON)
    late = Condition(type="Late", status=True, reason="Slow", message="", since=NOON)
    assert book.take(
        "beta", beat(4, stage=Stage.DRAINING, pushed=Pushed(2), conditions=[late]), NOON
    )
    assert book.take("beta", beat(1, incarnation="b", started=NOON + timedelta(1)), NOON)


def test_a_beat_of_an_older_sdk_answers_no_push():
    book = BeatBook()
    older = msgspec.json.decode(beat(1))
    del older["pushed"]
    assert book.take("beta", msgspec.json.encode(older), NOON)
    assert book.all()["beta"][0].pushed is None


def test_the_subject_says_who_beats_not_the_body():
    book = BeatBook()
    assert not book.take("gamma", beat(1), NOON)
    assert book.all() == {}
    assert book.forged == 1


def test_an_older_life_and_an_older_beat_are_dropped():
    book = BeatBook()
    later = NOON + timedelta(minutes=1)
    book.take("beta", beat(5, incarnation="b", started=later), later)
    assert not book.take("beta", beat(9, incarnation="a"), later)
    assert not book.take("beta", beat(5, incarnation="b", started=later), later)
    assert book.all()["beta"][0].incarnation == "b"
    assert book.stale == 2


def test_a_life_that_claims_to_begin_in_the_future_does_not_silence_the_next():
    book = BeatBook()
    book.take("beta", beat(1, incarnation="liar", started=NOON + timedelta(days=9)), NOON)
    assert book.take("beta", beat(1, incarnation="b", started=NOON + timedelta(seconds=5)), NOON)


def test_noise_is_counted():
    book = BeatBook()
    nested = beat(1, report={"é": 0}).replace(b":0", b":" + b"[" * 900 + b"]" * 900)
    deep = b"[" * 20_000 + b"]" * 20_000
    for payload in (
        b"",
        b"{}",
        b"\xff",
        b"[" * 10_000,
        b'{"instance": 1}',
        b'{"x": "\xff"}',
        deep,
        nested,
    ):
        assert not book.take("beta", payload, NOON)
    assert book.unreadable == 8


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        (b'"at":"2026-01-01T12:00:00Z"', b'"at":"2026-01-01T12:00:00"'),
        (b'"started":"2026-01-01T12:00:00Z"', b'"started":"2026-01-01T12:00:00"'),
        (b'"number":1', b'"number":1' + b"0" * 400),
        (b'"number":1', b'"number":-1'),
        (b'"count":3', b'"count":1' + b"0" * 400),
        (b'"lost":4', b'"lost":-1'),
    ],
)
def test_what_nobody_could_count_with_is_noise(said, instead):
    book = BeatBook()
    payload = beat(1, sent=[Flow("x", Channel.DATA, "BTC", count=3, lost=4)])
    assert said in payload
    assert not book.take("beta", payload.replace(said, instead), NOON)
    assert book.unreadable == 1


@pytest.mark.parametrize("bad", ["\x1b", "\x9b", "\u202e", "\x08\x08", "\r", "\x00"])
def test_what_a_terminal_would_obey_is_taken_out(bad):
    book = BeatBook()
    condition = Condition("Late", status=True, reason=f"So{bad}", message=f"é{bad}!", since=NOON)
    said = beat(
        1,
        conditions=[condition],
        report={f"x{bad}": [f"a{bad}b", 1.5, None]},
        last_refusal=f"price{bad} was 'nan'",
        indicators={f"BTC{bad}": {"sma": 1.0}},
        pushed=Pushed(2, f"no{bad}"),
    )
    assert book.take("beta", said, NOON)
    kept, _ = book.all()["beta"]
    assert kept.conditions == [Condition("Late", True, "So", "é!", NOON)]
    assert kept.report == {"x": ["ab", 1.5, None]}
    assert kept.last_refusal == "price was 'nan'"
    assert kept.indicators == {"BTC": {"sma": 1.0}}
    assert kept.pushed == Pushed(2, "no")


def test_a_text_of_several_lines_becomes_one():
    book = BeatBook()
    book.take("beta", beat(1, last_refusal="no\n2026-01-01  project  Applied"), NOON)
    assert book.all()["beta"][0].last_refusal == "no 2026-01-01  project  Applied"


def test_another_major_contract_is_kept_and_explained():
    book = BeatBook()
    book.take("beta", beat(1, contract="2.0"), NOON)
    (condition,) = book.all()["beta"][0].conditions
    assert (condition.reason, condition.status) == (MISMATCH, False)
    assert f"contract 2.0, the controller {CONTRACT}" in condition.message
    major = CONTRACT.partition(".")[0]
    book.take("beta", beat(2, contract=f"{major}.99"), NOON)
    assert book.all()["beta"][0].conditions == []


def test_a_flood_is_dropped_unread_and_shown_until_it_ends():
    book = BeatBook()
    told = [book.take("beta", beat(number), NOON) for number in range(1, 1000)]
    assert told.count(True) == 2, "the first beat, and the flood"
    assert book.flooded > 900
    kept = book.all()["beta"][0]
    assert [item.type for item in kept.conditions] == [FLOODING]
    soon = NOON + timedelta(seconds=5)
    assert not book.take("beta", beat(1001), soon), "still flooding a moment ago"
    later = NOON + timedelta(seconds=60)
    assert book.take("beta", beat(1002), later)
    assert book.all()["beta"][0].conditions == []


def test_one_who_floods_does_not_cost_another_his_beats():
    book = BeatBook()
    for number in range(1, 1000):
        book.take("mallory", beat(number, instance="mallory"), NOON)
    assert book.take("beta", beat(1), NOON)
