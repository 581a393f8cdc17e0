"""An API server takes every good plugins.yaml as a PluginSet, and refuses shapes in words a person reads."""

import subprocess

import pytest

from tests.integration.pluginset.conftest import ROOT

DRY = "--dry-run=server"
GOOD = [ROOT / "config" / "plugins.yaml", *sorted((ROOT / "config" / "examples").glob("*.yaml"))]
REFUSED = {
    "capital_negative": "spec.plugins.strategies[0].capital in body should be greater than 0",
    "config_is_text": "spec.plugins.strategies[0].config in body must be of type object",
    "cpu_in_percent": "spec.plugins.strategies[0].resources.cpu in body should match",
    "dash_missing": 'unknown field "spec.plugins.strategies.name"',
    "egress_without_port": "spec.plugins.data_sources[0].network.egress[0] in body should match",
    "enabled_in_quotes": "spec.plugins.strategies[0].enabled in body must be of type boolean",
    "enabled_misspelt": 'unknown field "spec.plugins.strategies[0].enable"',
    "history_zero": "spec.plugins.strategies[0].history in body should be greater than or equal to 1",
    "inputs_empty": "spec.plugins.strategies[0].inputs in body should have at least 1 items",
    "memory_in_bits": "spec.plugins.strategies[0].resources.memory in body should match",
    "not_yet": 'unknown field "spec.plugins.strategies[0].shard_by"',
    "section_in_the_singular": 'unknown field "spec.plugins.',
}
"""Mistake of tests/fixtures/invalid -> what the API server says of it."""


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_a_good_file_is_a_good_plugin_set(put, file):
    assert "created" in put("good", file, DRY)


@pytest.mark.parametrize("mistake", sorted(REFUSED))
def test_a_mistake_of_the_shape_is_refused_and_its_field_is_named(put, mistake):
    with pytest.raises(subprocess.CalledProcessError) as refused:
        put("bad", ROOT / "tests" / "fixtures" / "invalid" / f"{mistake}.yaml", DRY)
    assert REFUSED[mistake] in refused.value.stderr


def test_a_name_that_is_twice_in_a_section_is_refused(knowing, namespace):
    with pytest.raises(subprocess.CalledProcessError) as refused:
        knowing.kubectl("-n", namespace, "create", DRY, "-f", "-", stdin=TWICE)
    assert 'spec.plugins.strategies[1]: Duplicate value: {"name":"a"}' in refused.value.stderr


TWICE = """
apiVersion: ntp.dev/v1alpha1
kind: PluginSet
metadata: {name: twice}
spec: {plugins: {strategies: [{name: a}, {name: a}]}}
"""


def test_people_see_it_in_a_table_and_find_it_by_its_short_name(put, knowing, namespace):
    put("desk", ROOT / "config" / "plugins.yaml")
    head, row = knowing.kubectl("-n", namespace, "get", "pset").splitlines()
    assert head.split() == ["NAME", "READY", "PLUGINS", "REASON", "AGE"]
    assert row.split()[0] == "desk"
    assert "512Mi or 1GiB" in knowing.kubectl(
        "explain", "pluginset.spec.plugins.strategies.resources.memory"
    )
