"""What is signed for several servers: which of two tokens is the later one must not hang on the clock."""

from pathlib import Path

import pytest

from ntp.contract.names import Channel, Kind
from orchestrator.bus import claims
from orchestrator.bus.authority import Authority
from orchestrator.bus.external import External
from orchestrator.bus.keys import OPERATOR, make
from orchestrator.spec.model import Desired, Import
from orchestrator.spec.rights import STREAM, rights
from orchestrator.spec.wiring import Edge
from tests.worlds.specs import spec

BETA = rights(Desired("test", 1, {"beta": spec("beta", Kind.STRATEGY)}), [])["beta"]
THEIRS = External("nats.example:4222", make(OPERATOR).seed, b"")


def _authority(folder: Path, times: list[float]) -> Authority:
    return Authority(folder, project="test", external=THEIRS, now=lambda: times[-1])


def test_an_account_is_the_same_text_until_it_says_something_else_and_later_then(tmp_path):
    times = [1_900_000_000.0]
    authority = _authority(tmp_path / "keys", times)
    tokens = [authority.account_token(BETA)]
    for now in (times[0], times[0] - 1000, times[0] + 1000):
        times.append(now)
        assert authority.account_token(BETA) == tokens[-1]
        authority.credentials("beta")
        authority.rotate("beta")
        tokens.append(authority.account_token(BETA))
    issued = [claims.decode(each)["iat"] for each in tokens]
    assert issued == sorted(set(issued))
    authority.forget("beta")
    assert claims.decode(authority.account_token(BETA))["sub"] != claims.decode(tokens[-1])["sub"]


def test_the_next_controller_makes_the_same_text_of_a_few_bytes(tmp_path):
    edges = [Edge(consumer="beta", channel=Channel.DATA, producer="feed")]
    plugins = {"beta": spec("beta", Kind.STRATEGY), "feed": spec("feed", Kind.DATA_SOURCE)}
    wired = rights(Desired("test", 1, plugins), edges)["beta"]
    times = [1_900_000_000.0]
    token = _authority(tmp_path / "keys", times).account_token(wired)
    times.append(times[0] + 1000)
    assert _authority(tmp_path / "keys", times).account_token(wired) == token
    kept = [each for each in (tmp_path / "keys").iterdir() if "beta" in each.name]
    assert len(token) > 10 * sum(each.stat().st_size for each in kept)


@pytest.mark.parametrize("external", [None, THEIRS], ids=["embedded", "external"])
def test_a_token_that_is_made_again_says_the_same_and_is_a_later_one(tmp_path, external):
    authority = Authority(
        tmp_path / "keys", project="test", external=external, now=lambda: 1_900_000_000.0
    )
    captured = [Import("beta", "data.>", "md.beta.data.>", STREAM)]

    def tokens(*, again: bool) -> tuple[str, str]:
        return (
            authority.account_token(BETA, again=again),
            authority.core_token(captured, again=again),
        )

    first, second = tokens(again=False), tokens(again=True)
    for one, other in zip(first, second, strict=True):
        assert claims.meaning(one) == claims.meaning(other)
        assert claims.decode(one)["iat"] < claims.decode(other)["iat"]
    kept = tokens(again=False)
    assert kept[1] == second[1]
    assert (kept[0] == second[0]) == (external is not None)


def test_the_newest_of_those_that_are_gone_are_remembered(tmp_path):
    authority = _authority(tmp_path / "keys", [0.0])
    authority.account_token(BETA)
    keys = [f"A{number}" for number in range(1500)]
    for each in (keys[:10], keys, keys[-1:]):
        authority.bury(each)
    assert [*authority.buried()] == keys[500:]
