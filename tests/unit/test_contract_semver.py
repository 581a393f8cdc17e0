"""The order of versions is semver.org's own example, and what is no version is no path either."""

import itertools

import pytest

from ntp.contract import semver

RISING = [
    "0.9.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
    "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0",
]  # fmt: skip


@pytest.mark.parametrize(("low", "high"), list(itertools.pairwise(RISING)))
def test_the_order_is_that_of_semver(low, high):
    assert semver.order(low) < semver.order(high)


def test_build_metadata_counts_for_nothing_and_has_no_place_in_a_tag():
    assert semver.order("1.0.0+a") == semver.order("1.0.0+b") == semver.order("1.0.0")
    assert semver.tag("1.0.0+a.1") == "1.0.0_a.1"


@pytest.mark.parametrize("text", ["1.0", "01.0.0", "1.0.0\n", "../1.0.0", "1.0.0-", "1" * 65 + ".0.0"])  # fmt: skip
def test_what_is_no_version_is_refused(text):
    assert not semver.is_version(text)
    with pytest.raises(ValueError, match="no semantic version"):
        semver.order(text)
