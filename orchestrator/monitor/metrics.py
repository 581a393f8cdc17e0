"""The controller's own statuses as Prometheus metrics. No I/O: statuses in, text out."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from orchestrator.decide.report import AlertFigures, Figures, Histogram, PluginStatus, ProjectStatus
from orchestrator.decide.words import reason

RESTARTS = "ntp_plugin_restarts"
"""The one count that the controller keeps over lives itself."""


class Totals:
    """Counters that go on over the lives of a plugin, and never down.

    The kernel and a beat count one life, so a new life begins at zero: what the last one had reached
    is kept and added. They begin anew with the controller, which Prometheus takes for a reset.
    """

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], float] = {}
        self._last: dict[tuple[str, str], tuple[datetime | None, float]] = {}

    def take(self, plugin: str, what: str, life: datetime | None, value: float) -> float:
        """`life`: when it began. Within one life a smaller value is a reading that failed."""
        key = plugin, what
        known, last = self._last.get(key, (life, 0.0))
        if known != life:
            self._before[key] = self._before.get(key, 0.0) + last
            last = 0.0
        self._last[key] = life, max(last, value)
        return self._before.get(key, 0.0) + max(last, value)

    def keep(self, plugins: Iterable[str]) -> None:
        """Forget everybody else: who was removed must not fill the memory."""
        there = set(plugins)
        self._before = {key: each for key, each in self._before.items() if key[0] in there}
        self._last = {key: each for key, each in self._last.items() if key[0] in there}


class Metrics:
    """Renders one status after another. The only labels are names of plugins.yaml and of reasons."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._totals = Totals()

    def render(self, status: ProjectStatus, figures: Figures) -> bytes:
        self._totals.keep(each.name for each in status.plugins)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Given([*self._families(status), *_controller(figures)]))
        return generate_latest(registry)

    def _families(self, status: ProjectStatus) -> list[Metric]:
        build = InfoMetricFamily("ntp_build", "Version of the controller.")
        build.add_metric([], {"version": self._version, "project": status.project})
        revision = GaugeMetricFamily("ntp_applied_revision", "Number of the last applied revision.")
        revision.add_metric([], status.revision)
        return [build, revision, *self._gauges(status), *self._counters(status)]

    def _gauges(self, status: ProjectStatus) -> list[Metric]:
        ready = GaugeMetricFamily(
            "ntp_plugin_ready", "1 if the plugin is ready, else 0.", labels=["plugin", "kind"]
        )
        memory = _gauge("ntp_plugin_memory_bytes", "Memory in use.")
        limit = _gauge("ntp_plugin_memory_limit_bytes", "Memory limit; absent where none is set.")
        ended = GaugeMetricFamily(
            "ntp_plugin_last_exit_timestamp_seconds",
            "When the last life ended, and why.",
            labels=["plugin", "reason"],
        )
        for each in status.plugins:
            ready.add_metric([each.name, each.kind], float(each.ready))
            memory.add_metric([each.name], each.usage.memory)
            if each.usage.memory_limit:
                limit.add_metric([each.name], each.usage.memory_limit)
            if each.last_exit is not None:
                ended.add_metric([each.name, reason(each.last_exit)], each.last_exit.at.timestamp())
        return [ready, memory, limit, ended]

    def _counters(self, status: ProjectStatus) -> list[Metric]:
        told = {
            RESTARTS: "Restarts after a failure.",
            "ntp_plugin_cpu_seconds": "CPU time used.",
            "ntp_messages_sent": "Messages that the plugin sent.",
            "ntp_messages_received": "Messages that the plugin received.",
            "ntp_messages_lost": "Messages that did not reach the plugin.",
            "ntp_results_refused": "Results of the plugin refused at the border.",
        }
        families = {
            name: CounterMetricFamily(name, about, labels=["plugin"])
            for name, about in told.items()
        }
        kills = CounterMetricFamily(
            "ntp_plugin_kills", "Lives that were ended by force.", labels=["plugin", "cause"]
        )
        for each in status.plugins:
            for name, value in _counts(each).items():
                life = None if name == RESTARTS else each.started
                total = self._totals.take(each.name, name, life, value)
                families[name].add_metric([each.name], total)
            for cause, count in each.kills.items():
                kills.add_metric([each.name, cause], count)
        return [*families.values(), kills]


class _Given(Collector):
    """prometheus_client renders what a collector yields."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Sequence[Metric]:
        return self._families


def _controller(figures: Figures) -> list[Metric]:
    passes = _histogram(
        "ntp_controller_pass_duration_seconds",
        "Time that the controller took to look, plan and hand out what is to be done.",
        figures.passes,
    )
    return [passes, *(_alerts(figures.alerts) if figures.alerts else ())]


def _alerts(figures: AlertFigures) -> list[Metric]:
    opened = GaugeMetricFamily(
        "ntp_alerts_open", "1 for each alert that is open.", labels=["plugin", "reason"]
    )
    for plugin, why in figures.open:
        opened.add_metric([plugin, why], 1)
    ended = CounterMetricFamily(
        "ntp_webhook_messages",
        "Messages to the webhook by what became of them.",
        labels=["result"],
    )
    for result in ("delivered", "failed", "suppressed"):
        ended.add_metric([result], getattr(figures, result))
    return [
        opened,
        ended,
        CounterMetricFamily(
            "ntp_webhook_retries", "Calls that had to be made again.", value=figures.retries
        ),
        GaugeMetricFamily(
            "ntp_webhook_waiting", "Messages on their way to the webhook.", value=figures.waiting
        ),
    ]


def _histogram(name: str, about: str, found: Histogram) -> HistogramMetricFamily:
    upper = [*map(str, found.bounds), "+Inf"]
    buckets = list(zip(upper, accumulate(found.counts), strict=True))
    return HistogramMetricFamily(name, about, buckets=buckets, sum_value=found.total)


def _gauge(name: str, about: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, labels=["plugin"])


def _counts(each: PluginStatus) -> dict[str, float]:
    found: dict[str, float] = {
        RESTARTS: each.restarts,
        "ntp_plugin_cpu_seconds": each.usage.cpu_s,
    }
    if each.flow is not None:
        found["ntp_messages_sent"] = each.flow.sent
        found["ntp_messages_received"] = each.flow.received
        found["ntp_messages_lost"] = each.flow.lost
        found["ntp_results_refused"] = each.flow.refused
    return found
