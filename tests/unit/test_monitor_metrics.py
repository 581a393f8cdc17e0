import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.controller.durations import Durations
from orchestrator.decide.report import Figures, FlowTotals, PluginStatus, ProjectStatus
from orchestrator.decide.state import Exit, Usage
from orchestrator.errors import ConfigError
from orchestrator.monitor.address import address
from orchestrator.monitor.metrics import Metrics

BEGAN = datetime(2026, 1, 2, tzinfo=UTC)
PLUGIN = PluginStatus(
    name="momentum",
    kind="strategy",
    plugin="momentum_strategy",
    version="1",
    state="Running",
    message="",
    ready=True,
    generation=1,
    restarts=2,
    kills={"memory": 2},
    place="",
    started=BEGAN,
    usage=Usage(memory=1024, memory_limit=4096, cpu_s=5.0),
    flow=FlowTotals(sent=10, lost=1, refused=3),
    last_exit=Exit(BEGAN, oom=True),
)
PROMTOOL = shutil.which("promtool")
SECOND_LIFE = BEGAN + timedelta(hours=1)


PASSES = "ntp_controller_pass_duration_seconds"


def text(metrics, *plugins, passes=()):
    durations = Durations()
    for each in passes:
        durations.take(each)
    status = ProjectStatus("desk", 7, BEGAN, (), plugins)
    return metrics.render(status, Figures(durations.told()))


def families(metrics, *plugins, passes=()):
    told = text(metrics, *plugins, passes=passes).decode()
    return {each.name: each for each in text_string_to_metric_families(told)}


def read(metrics, *plugins):
    return {
        (each.name, each.labels.get("plugin", "")): each
        for name, family in families(metrics, *plugins).items()
        for each in family.samples
        if name != PASSES
    }


def test_the_official_parser_reads_names_units_and_labels():
    found = read(Metrics("0.1"), PLUGIN)
    values = {name: each.value for (name, _), each in found.items()}
    assert values == {
        "ntp_build_info": 1,
        "ntp_applied_revision": 7,
        "ntp_plugin_ready": 1,
        "ntp_plugin_memory_bytes": 1024,
        "ntp_plugin_memory_limit_bytes": 4096,
        "ntp_plugin_last_exit_timestamp_seconds": BEGAN.timestamp(),
        "ntp_plugin_restarts_total": 2,
        "ntp_plugin_kills_total": 2,
        "ntp_plugin_cpu_seconds_total": 5,
        "ntp_messages_sent_total": 10,
        "ntp_messages_received_total": 0,
        "ntp_messages_lost_total": 1,
        "ntp_results_refused_total": 3,
    }
    assert found["ntp_plugin_kills_total", "momentum"].labels["cause"] == "memory"
    assert found["ntp_build_info", ""].labels == {"version": "0.1", "project": "desk"}
    assert found["ntp_plugin_ready", "momentum"].labels == {
        "plugin": "momentum",
        "kind": "strategy",
    }
    ended = found["ntp_plugin_last_exit_timestamp_seconds", "momentum"]
    assert ended.labels == {"plugin": "momentum", "reason": "OOMKilled"}


def test_what_is_not_ready_is_0_and_a_limit_that_is_none_is_absent():
    found = read(Metrics("0.1"), replace(PLUGIN, ready=False, usage=Usage(memory=1)))
    assert found["ntp_plugin_ready", "momentum"].value == 0
    assert found["ntp_plugin_memory_bytes", "momentum"].value == 1
    assert ("ntp_plugin_memory_limit_bytes", "momentum") not in found


@pytest.mark.skipif(PROMTOOL is None, reason="promtool (Debian: prometheus) is not installed")
def test_promtool_has_nothing_to_complain_about():
    told = text(Metrics("0.1"), PLUGIN, passes=[0.1])
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=told, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_time_of_passes_is_a_histogram_whose_buckets_add_up():
    found = families(Metrics("0.1"), passes=[0.002, 0.005, 0.3, 60.0])[PASSES]
    counts = {each.labels.get("le", each.name): each.value for each in found.samples}
    assert found.type == "histogram"
    assert (counts["0.005"], counts["0.25"], counts["0.5"], counts["10.0"]) == (2, 2, 3, 3)
    assert counts["+Inf"] == counts[f"{PASSES}_count"] == 4
    assert counts[f"{PASSES}_sum"] == pytest.approx(60.307)


@pytest.mark.parametrize("sent", [4, 40])
def test_a_counter_goes_on_over_a_new_life(sent):
    metrics = Metrics("0.1")
    read(metrics, PLUGIN)
    again = replace(PLUGIN, started=SECOND_LIFE, flow=FlowTotals(sent=sent), restarts=3)
    found = read(metrics, again)
    assert found["ntp_messages_sent_total", "momentum"].value == 10 + sent
    assert found["ntp_plugin_restarts_total", "momentum"].value == 3


def test_a_reading_that_failed_takes_nothing_from_a_counter():
    metrics = Metrics("0.1")
    read(metrics, PLUGIN)
    key = "ntp_plugin_cpu_seconds_total", "momentum"
    assert read(metrics, replace(PLUGIN, usage=Usage()))[key].value == 5
    assert read(metrics, PLUGIN)[key].value == 5
    read(metrics, replace(PLUGIN, usage=Usage()))
    again = replace(PLUGIN, started=SECOND_LIFE, usage=Usage(cpu_s=1.0))
    assert read(metrics, again)[key].value == 6


def test_who_was_removed_is_forgotten():
    metrics = Metrics("0.1")
    read(metrics, PLUGIN)
    assert ("ntp_plugin_ready", "momentum") not in read(metrics)
    again = replace(PLUGIN, started=SECOND_LIFE)
    assert read(metrics, again)["ntp_messages_sent_total", "momentum"].value == 10


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("", None), ("127.0.0.1:9464", ("127.0.0.1", 9464)), ("[::1]:9464", ("::1", 9464))],
)
def test_nothing_is_served_unless_an_address_is_named(text, wanted):
    assert address({"NTP_METRICS": text}) == wanted
    assert address({}) is None


@pytest.mark.parametrize(
    "text", ["9464", ":9464", "localhost", "h:99999", "http://h:1", "u@h:1", "h:1/metrics", "h:1?x"]
)
def test_half_an_address_is_refused(text):
    with pytest.raises(ConfigError, match="NTP_METRICS"):
        address({"NTP_METRICS": text})
