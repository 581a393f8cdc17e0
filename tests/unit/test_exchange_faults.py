"""Faults: their grammar, when they are in force, and what they do to frames."""

import json
import re

import pytest

from ntp.exchange import control
from ntp.exchange.faults import KINDS, Board, Fault, FaultError, Strikes, parse
from ntp.exchange.mangler import Mangler
from ntp.exchange.rules import RollingCount, Rules


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("close=1006@5s", Fault("close", 1006, 5.0)),
        ("close=1008", Fault("close", 1008)),
        ("close", Fault("close", 1006)),
        ("stall@10s", Fault("stall", float("inf"), 10.0)),
        ("stall=500ms@1m/once", Fault("stall", 0.5, 60.0, once=True)),
        ("duplicate=0.1", Fault("duplicate", 0.1)),
        ("clock-skew=-2s", Fault("clock-skew", -2.0)),
        ("burst", Fault("burst", 857)),
        ("gap=3@2", Fault("gap", 3, 2.0)),
        ("auth-failed", Fault("auth-failed")),
    ],
)
def test_a_fault_is_read_and_written(text, fault):
    assert parse(text) == fault
    assert parse(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "write NAME"),
        ("close=", "write NAME"),
        ("clos", "did you mean 'close'?"),
        ("zzz", "known are stall"),
        ("duplicate", "needs a value"),
        ("duplicate=2", "a share from 0 to 1"),
        ("duplicate=nan", "a share from 0 to 1"),
        ("gap=0", "a whole number from 1"),
        ("gap=1.5", "a whole number from 1"),
        ("burst=inf", "a whole number from 1"),
        ("close=1005", "write 1000, 1001, 1006, 1008"),
        ("half-json=1", "takes no value"),
        ("stall@soon", "write it as 500ms"),
        ("stall@-1s", "0s or more"),
    ],
)
def test_what_is_no_fault_is_told_with_what_to_write(text, words):
    with pytest.raises(FaultError, match=re.escape(words)):
        parse(text)


def test_the_faults_that_the_exchange_has():
    assert {"stall", "close", "duplicate", "reorder", "gap", "half-json", "half-frame", "clock-skew", "burst", "server-shutdown", "session-end"} < set(KINDS)  # fmt: skip
    assert [name for name, kind in KINDS.items() if kind.protocol == "polygon"] == [
        "auth-failed", "auth-timeout", "max-connections", "not-authorized", "slow-consumer", "force-disconnect",
    ]  # fmt: skip


def test_a_lasting_fault_is_in_force_from_its_age_and_replaces_its_like():
    board = Board()
    assert board.add(parse("duplicate=0.5@5s"))
    assert board.lasting("duplicate", 4.9) is None
    assert board.lasting("duplicate", 5.0) == 0.5
    board.add(parse("duplicate=0.1"))
    assert board.lasting("duplicate", 0.0) == 0.1
    board.clear()
    assert board.lasting("duplicate", 9.0) is None


def test_a_fault_strikes_each_connection_once_at_its_age():
    board = Board()
    board.add(parse("close=1001@5s"))
    first, second = Strikes(board, "binance"), Strikes(board, "polygon")
    assert first.next_s() == 5.0
    assert first.due(4.0) == []
    assert [fault.name for fault in first.due(5.0)] == ["close"]
    assert first.due(6.0) == []
    assert first.next_s() is None
    assert len(second.due(5.0)) == 1


def test_a_fault_that_strikes_once_spares_the_next_connection():
    board = Board()
    board.add(parse("close@1s/once"))
    assert len(Strikes(board, "binance").due(2.0)) == 1
    assert Strikes(board, "binance").due(2.0) == []


def test_a_fault_of_one_protocol_leaves_the_other_alone():
    board = Board()
    board.add(parse("server-shutdown@0s"))
    assert Strikes(board, "polygon").due(1.0) == []
    assert len(Strikes(board, "binance").due(1.0)) == 1


def test_a_fault_without_an_age_strikes_now_and_is_not_kept():
    board = Board()
    assert not board.add(parse("close=1006"))
    assert board.standing == []


def out(mangler, count, *, depth=False, age_s=0.0):
    return [
        int(text)
        for number in range(count)
        for text in mangler.out(b"%d" % number, depth_update=depth, age_s=age_s)
    ]


def mangler(*faults):
    board = Board()
    for fault in faults:
        board.add(parse(fault))
    return Mangler(board)


def test_frames_pass_unchanged_without_faults():
    assert out(mangler(), 5) == [0, 1, 2, 3, 4]


def test_duplicates():
    assert out(mangler("duplicate=1"), 3) == [0, 0, 1, 1, 2, 2]
    some = out(mangler("duplicate=0.1"), 1000)
    assert 1050 < len(some) < 1150
    assert sorted(set(some)) == list(range(1000))


def test_reordered_frames_are_all_there():
    assert out(mangler("reorder=1"), 4) == [1, 0, 3, 2]
    some = out(mangler("reorder=0.1"), 1001)
    assert some != sorted(some)
    assert set(range(1000)) <= set(some)


def test_a_gap_leaves_out_depth_updates_alone():
    made = mangler()
    made.gap(2)
    assert out(made, 2) == [0, 1]
    assert out(made, 4, depth=True) == [2, 3]


def test_a_stall_swallows_until_its_end():
    made = mangler()
    made.stall(5.0)
    assert out(made, 3, age_s=4.9) == []
    assert out(made, 3, age_s=5.0) == [0, 1, 2]


def test_half_of_the_json():
    made = mangler()
    made.halve()
    frames = [b'{"e":"trade"}'] * 2
    got = [text for frame in frames for text in made.out(frame, depth_update=False, age_s=0)]
    assert got == [b'{"e":"', b'{"e":"trade"}']


def asked(method, path="/fault", peer="127.0.0.1", origin=None, board=None):
    struck = []
    board = Board() if board is None else board
    status, body = control.refusal(peer, origin) or control.faults(
        method, path, board=board, strike=struck.append
    )
    return status, json.loads(body), struck


def test_faults_are_commanded_over_http():
    board = Board()
    status, body, struck = asked("POST", "/fault?close=1006&duplicate=0.1&stall%4010s", board=board)
    assert status == 200
    assert struck == [Fault("close", 1006)]
    assert body == {"standing": ["duplicate=0.1", "stall@10s"]}
    assert asked("GET", board=board)[1] == body
    assert asked("DELETE", board=board)[1] == {"standing": []}


def test_a_wrong_command_changes_nothing():
    board = Board()
    status, body, struck = asked("POST", "/fault?duplicate=0.1&clos", board=board)
    assert (status, struck, board.standing) == (400, [], [])
    assert "did you mean 'close'?" in body["error"]
    assert asked("POST")[0] == 400
    assert asked("PUT")[0] == 405


@pytest.mark.parametrize(
    ("peer", "origin"),
    [("10.0.0.7", None), ("127.0.0.1", "http://example.com"), ("", None), ("fe80::1%eth0", None)],
)
def test_only_this_machine_commands_and_no_web_page(peer, origin):
    assert asked("POST", "/fault?close", peer=peer, origin=origin)[0] == 403


def test_ipv6_loopback_is_this_machine():
    assert asked("GET", peer="::1")[0] == 200


def test_compression_shortens_what_one_waits_for_and_nothing_else():
    rules = Rules().compressed(1440)
    assert rules.session_s == 60
    assert (rules.ping_s, rules.pong_s, rules.auth_s) == (1, 3, 1)
    assert rules.messages_per_second == 5
    assert Rules().compressed(4).ping_s == 5


def test_a_rolling_count_forgets_what_is_over():
    count = RollingCount(2, 10.0)
    assert [count.allows(at) for at in (0, 1, 2, 11, 12.5)] == [True, True, False, True, True]
