"""One file with everything in it: text, figures, drawings and the program that draws them."""

import base64
import hashlib
import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files

from ntp.page import bars, figures, measures, months, still, tables, trades
from ntp.page.account import ZERO, Account, accounts
from ntp.page.charts import Chart, Charts, charts
from ntp.page.run import Run
from ntp.statistics import Assessment

PALETTE = 6
"""Colours of strategies; the seventh has the first one's again."""


def render(run: Run) -> str:
    """Return the page. It asks the network for nothing, and its policy forbids it to."""
    found = accounts(run)
    drawn = charts(run, found)
    assessed = [account.assessment for account in found]
    style, script, sorting = _part("page.css"), _part("page.js"), _part("table.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)};"
        f" script-src {_hash(script)} {_hash(sorting)}"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(run.title)}</title>\n'
        f"<style>{style}</style>\n</head>\n<body>\n"
        f"{_header(run, drawn)}<main>\n{_cards(run, found)}"
        f"{tables.table(tables.by_strategy(run, found)) if len(found) > 1 else ''}\n"
        f"{_drawings(run, drawn, assessed)}"
        f"{''.join(map(months.table, assessed))}"
        f"{trades.table(assessed)}"
        f"{measures.section(assessed)}"
        f"{tables.table(tables.by_symbol(run, found)) if found else ''}\n"
        f"{''.join(map(tables.table, run.tables))}\n"
        f"</main>\n{_program(run, drawn, script) if drawn.all else ''}"
        f"<script>{sorting}</script>\n</body>\n</html>\n"
    )


def _header(run: Run, drawn: Charts) -> str:
    span = f"{figures.moment(drawn.start)}, {figures.length(drawn.end - drawn.start)}"
    words = "".join(f"<p>{escape(each)}</p>" for each in run.words)
    return f"<header><h1>{escape(run.title)}</h1><p>{span}</p>{words}</header>\n"


def _cards(run: Run, found: Sequence[Account]) -> str:
    realised, unrealised, fees = tables.totals(found)
    capital = sum((account.capital for account in found), ZERO)
    result = realised + unrealised - fees
    cards = [
        ("P&L before fees", figures.gain(realised + unrealised), "realised and unrealised"),
        ("Fees", figures.amount(fees), "of all executions"),
        ("Result", figures.gain(result), f"{figures.share(float(result / capital))} of capital" if capital else ""),
        ("Equity", figures.amount(capital + result), f"of {figures.amount(capital)}"),
        *(measures.cards(found[0].assessment) if len(found) == 1 else ()),
        ("Ticks", figures.count(sum(map(len, run.tracks))), _several(len(run.tracks), "symbol", "symbols")),
        ("Signals", figures.count(len(run.signals)), _several(len(run.strategies), "strategy", "strategies")),
        ("Fills", figures.count(len(run.fills)), "on paper"),
    ]  # fmt: skip
    shown = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{value}<small>{escape(words)}</small></dd></div>"
        for name, value, words in cards
    )
    return f'<dl class="cards">{shown}</dl>\n'


def _several(count: int, one: str, many: str) -> str:
    return f"{figures.count(count)} {one if count == 1 else many}"


def _drawings(run: Run, drawn: Charts, assessed: Sequence[Assessment]) -> str:
    if not drawn.all:
        return ""
    number = iter(range(len(drawn.all)))
    prices = "".join(_figure(chart, next(number), "price") for chart in drawn.prices)
    equity = "".join(_figure(chart, next(number), "equity") for chart in drawn.equity)
    over_time = "".join(_figure(chart, next(number), "low") for chart in drawn.over_time)
    spread = "".join(bars.drawing(each, named=len(assessed) > 1) for each in assessed)
    risk = f'<section><h2>Risk</h2><div class="charts">{over_time}{spread}</div></section>\n'
    more = (
        f"<p>{figures.count(drawn.left_out)} further symbols are not drawn: those with fewest signals and fills.</p>"
        if drawn.left_out
        else ""
    )
    return (
        f"<noscript><p>Without JavaScript the drawings are still, and show neither signals nor fills; all figures are in the tables.</p></noscript>{_legend(run)}"
        f'<section><h2>Prices, signals and fills</h2>{more}<div class="charts">{prices}</div></section>\n'
        + (
            f'<section><h2>Equity</h2><div class="charts">{equity}</div></section>\n{risk}'
            if equity
            else ""
        )
    )


def _legend(run: Run) -> str:
    """Return what each colour and shape means; each is a switch."""
    switches = [(f"s{at}", f"ink{at % PALETTE}", name) for at, name in enumerate(run.strategies)]
    switches += [("signals", "hollow", "signals"), ("fills", "solid", "fills")]
    shown = "".join(
        f'<button type="button" aria-pressed="true" data-hides="{what}" class="{kind}">'
        f"<i></i>{escape(name)}</button>"
        for what, kind, name in switches
    )
    return (
        f'<div class="legend" hidden>{shown}<button type="button" id="whole" hidden>whole run</button>'
        "<span>up: buy, down: sell; a fill has paid spread and slippage; drag to look closer</span></div>"
    )


def _figure(chart: Chart, number: int, kind: str) -> str:
    source = f" <small>{escape(chart.source)}</small>" if chart.source else ""
    note = f' <mark class="note">{escape(chart.note)}</mark>' if chart.note else ""
    words = f"<p>{escape(chart.words)}</p>" if chart.words else ""
    return (
        f'<figure class="{kind}"><figcaption><h3>{escape(chart.title)}{source}{note}</h3>{words}</figcaption>'
        f'<canvas data-chart="{number}" role="img" aria-label="{escape(chart.spoken)}" hidden></canvas>'
        f"<noscript>{still.drawing(chart, PALETTE)}</noscript></figure>"
    )


def _program(run: Run, drawn: Charts, script: str) -> str:
    return (
        f'<div id="tip" hidden></div>\n<script type="application/json" id="run">{_data(run, drawn)}</script>\n'
        f"<script>{script}</script>\n"
    )


def _data(run: Run, drawn: Charts) -> str:
    told = {
        "start": round(drawn.start * 1000),
        "span": max(round((drawn.end - drawn.start) * 1000), 1),
        "strategies": list(run.strategies),
        "palette": PALETTE,
        "charts": [chart.data for chart in drawn.all],
    }
    # Inside a script only `<` could end it.
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


def _part(name: str) -> str:
    return files("ntp.page").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
