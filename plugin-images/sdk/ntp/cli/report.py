"""How a test of a plugin is told: in a terminal, as JSON, as a page."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from ntp.contract.problem import Problem
from ntp.contract.tested import Settings
from ntp.engine.fills import Costs
from ntp.examination.examine import MOST_SHOWN, Examined
from ntp.examination.finding import Finding, Status
from ntp.examination.order import Order
from ntp.package.author import AuthorError
from ntp.page.run import Run, Table, Track
from ntp.report_document import DocumentError, compare, document
from ntp.report_text import moved, text
from ntp.statistics import Assessment

_TIERS = {
    0: "not isolated: no sandbox works here (tier 0)",
    1: "isolated by Landlock (tier 1)",
    2: "isolated by user namespaces (tier 2)",
    3: "isolated by namespaces and a user of its own (tier 3)",
}
_MARKS = {Status.PASSED: "ok", Status.WARNED: "!!", Status.FAILED: "XX", Status.SKIPPED: "--"}
_MOST_ROWS = 10
"""Bad rows that a terminal is shown."""


def isolation(tier: int) -> str:
    """Return how the plugin was isolated, in words."""
    return _TIERS[tier]


@dataclass
class Report:
    """What came of a test. `tables`, `words`, `extra`: what else a page, a terminal, a document has."""

    found: Examined
    tables: Sequence[Table] = ()
    words: Sequence[str] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return self.found.passed

    @property
    def assessment(self) -> Assessment | None:
        return self.found.assessment

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        found, answer = self.found, self.found.answer
        manifest = found.target.manifest
        made = document(
            [] if self.assessment is None else [self.assessment],
            plugin={
                "name": manifest.name,
                "version": manifest.version,
                "kind": manifest.kind.value,
                "config": dict(found.target.config),
            },
            checks=[each.document() for each in found.findings],
            data={
                "files": [{"name": Path(f).name, "sha256": h} for f, h in found.files.items()],
                "mapping": found.mapping,
                "ticks": answer.ticks,
                "symbols": answer.symbols,
                "first": _time(answer.first),
                "last": _time(answer.last),
                "bad_rows": answer.bad_count,
            },
            made=datetime.now(UTC),
        )
        raised = None if answer.raised is None else str(answer.raised)
        return made | {
            "passed": self.passed,
            "settings": msgspec.to_builtins(_settings(found.order)),
            "run": {
                "refused": answer.refused,
                "raised": raised,
                "signals": answer.signals,
                "fills": answer.fills,
                "refused_results": answer.border,
                "last_refusal": answer.last_refusal,
                "seconds": answer.wall_s,
                "cpu_seconds": answer.cpu_s,
                "peak_mib": answer.peak_mib,
            },
            "isolation": {
                "tier": found.tier,
                "active": list(found.active),
                "missing": list(found.missing),
            },
            **self.extra,
        }

    def page(self) -> str:
        """Return it as one HTML file."""
        from ntp.page.html import render

        found, answer = self.found, self.found.answer
        manifest, assessment = found.target.manifest, self.assessment
        capital = {} if assessment is None else {assessment.strategy: assessment.capital}
        words = [
            *self.words,
            f"{answer.ticks:,} ticks of {', '.join(sorted(answer.symbols)[:8])}",
            isolation(found.tier),
        ]
        most = max(answer.signals, answer.fills)
        if most > MOST_SHOWN:
            words.append(f"drawn: the first {MOST_SHOWN:,} signals and fills")
        return render(
            Run(
                title=f"Test of {manifest.name} {manifest.version}",
                tracks=[
                    Track.thinned("recording", symbol, line, answer.symbols[symbol])
                    for symbol, line in answer.prices.items()
                ],
                signals=found.signals,
                fills=found.fills,
                capital=capital,
                words=words,
                tables=[_checks(found.findings), *self.tables],
                assessments={} if assessment is None else {assessment.strategy: assessment},
            )
        )

    def show(self) -> None:
        """Print it for people."""
        found, answer = self.found, self.found.answer
        self._show_subject()
        if answer.refused:
            click.echo(f"\nit was not run: {answer.refused}\n  fix: {answer.fix}")
            return
        click.echo(f"\n{self._counts()}")
        if answer.raised is not None:
            click.echo(f"XX {answer.raised}")
        if answer.border:
            click.echo(
                f"!! {answer.border:,} results were refused, the last: {answer.last_refusal}"
            )
        if answer.orders_refused:
            click.echo(f"!! {answer.orders_refused:,} orders opened nothing: {answer.limited}")
        for line in self.words:
            click.echo(line)
        if self.assessment is not None and answer.ticks:
            click.echo(f"\n{text(self.assessment, width=_columns())}")
        for table in self.tables:
            _show_table(table)
        _show_findings(found.findings)

    def _show_subject(self) -> None:
        found, manifest = self.found, self.found.target.manifest
        click.echo(f"{manifest.name} {manifest.version}, {manifest.kind.value.replace('_', ' ')}")
        click.echo(isolation(found.tier))
        for why in found.missing if found.tier < 2 else ():
            click.echo(f"  missing: {why}")
        if found.mapping:
            click.echo(f"\n{found.mapping}")
        for line in found.answer.bad[:_MOST_ROWS]:
            click.echo(f"  {line}")
        if found.answer.bad_count > _MOST_ROWS:
            click.echo(f"  {found.answer.bad_count:,} rows were left out in all")

    def _counts(self) -> str:
        answer = self.found.answer
        many = f" of {len(answer.symbols)} symbols" if len(answer.symbols) > 1 else ""
        made = f"{answer.signals:,} signals, {answer.fills:,} fills; " if answer.signals else ""
        rate = answer.ticks / answer.wall_s if answer.wall_s else 0.0
        took = (
            f"{answer.wall_s:.1f} s, {rate:,.0f} ticks a second, {answer.peak_mib:.0f} MiB"
            if answer.wall_s
            else f"heard for {answer.heard.seconds:.1f} s"
        )
        return f"{answer.ticks:,} ticks{many}; {made}{took}"


def earlier(file: Path) -> Mapping[str, Any]:
    """Return an earlier report.

    Raises:
        AuthorError: it is none.
    """
    fix = "name a file that --json wrote"
    try:
        old = json.loads(file.read_text(encoding="utf-8"))
        compare(old, old)
    except ValueError as error:
        words = str(error) if isinstance(error, DocumentError) else f"it is no JSON: {error}"
        raise AuthorError(Problem(str(file), 0, 0, words, fix)) from error
    return dict(old)


def show_moved(old: Mapping[str, Any], new: Mapping[str, Any], *, err: bool) -> None:
    """Print what moved between two reports."""
    click.echo(f"\nsince {old.get('made') or 'then'}\n{moved(compare(old, new))}", err=err)


def _settings(order: Order) -> Settings:
    costs, trading = Costs.of(order.costs), order.trading
    every = {field.name: getattr(costs, field.name) for field in fields(costs)}
    return Settings(
        bars=order.bars,
        history=order.history,
        capital=trading.capital,
        short=trading.short,
        pyramid=trading.pyramid,
        risk=dict(trading.risk),
        costs={name: None if value is None else f"{value:f}" for name, value in every.items()},
        indicators=[each.instance for each in order.indicators],
        indicator_configs={each.instance: each.config for each in order.indicators},
    )


def _columns() -> int:
    return max(shutil.get_terminal_size().columns, 40) if sys.stdout.isatty() else 100


def _show_findings(findings: Sequence[Finding]) -> None:
    if not findings:
        return
    click.echo("\nchecks")
    wide = max(len(each.name) for each in findings)
    for each in findings:
        click.echo(f"  {_MARKS[each.status]} {each.name:<{wide}}  {each.words}")
        if each.fix and each.status in {Status.FAILED, Status.WARNED}:
            click.echo(f"     {'':<{wide}}  fix: {each.fix}")


def _show_table(table: Table) -> None:
    names = [name.removeprefix("#") for name in table.columns]
    wide = [max(map(len, cells)) for cells in zip(names, *table.rows, strict=True)]
    click.echo(f"\n{table.title}" + (f": {table.words}" if table.words else ""))
    for cells in (names, *table.rows):
        aligned = [
            cell.rjust(width) if name.startswith("#") else cell.ljust(width)
            for cell, width, name in zip(cells, wide, table.columns, strict=True)
        ]
        click.echo(f"  {'  '.join(aligned)}".rstrip())


def _checks(findings: Sequence[Finding]) -> Table:
    rows = [[each.name, each.status.value, each.words, each.fix] for each in findings]
    words = "" if findings else "The checks were left out."
    return Table(
        "What was checked", ["check", "result", "what was found", "what to do"], rows, words
    )


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
