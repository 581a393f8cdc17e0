"""What may be skipped: nothing that whoever runs the tests asked for by name."""

import pytest

from tests.worlds.environment import REQUIRE, absent

FAILED, SKIPPED = pytest.fail.Exception, pytest.skip.Exception


@pytest.mark.parametrize(
    ("said", "docker", "network"),
    [
        (None, SKIPPED, SKIPPED),
        ("", SKIPPED, SKIPPED),
        ("docker", FAILED, SKIPPED),
        ("programs, docker", FAILED, SKIPPED),
        ("network", SKIPPED, FAILED),
        ("all", FAILED, FAILED),
    ],
)
def test_only_what_is_required_may_not_be_absent(monkeypatch, said, docker, network):
    monkeypatch.delenv(REQUIRE, raising=False)
    if said is not None:
        monkeypatch.setenv(REQUIRE, said)
    with pytest.raises(docker, match="no engine"):
        absent("docker", "no engine")
    with pytest.raises(network, match="no registry"):
        absent("network", "no registry")


def test_a_word_that_requires_nothing_is_told(monkeypatch):
    monkeypatch.setenv(REQUIRE, "dokcer")
    with pytest.raises(FAILED, match="dokcer"):
        absent("docker", "no engine")
