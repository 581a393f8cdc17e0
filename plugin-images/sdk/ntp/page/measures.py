"""All figures with what they mean, group by group."""

from collections.abc import Sequence
from html import escape

from ntp.page import figures
from ntp.statistics.assessment import Assessment, Figure, Unit
from ntp.statistics.words import GROUPS

_CARDS = ("cagr", "sharpe", "sortino", "max_drawdown", "win_rate", "profit_factor", "exposure")
_SIGNED = {
    "net_profit",
    "realised",
    "unrealised",
    "gross_profit",
    "total_return",
    "buy_and_hold",
    "cagr",
}


def cards(found: Assessment) -> Sequence[tuple[str, str, str]]:
    """Return what stands on the first screen of a run of one strategy: name, value and words."""
    deepest = found.deepest
    length = figures.length(deepest.length.total_seconds()) if deepest else "never fell"
    trades = figures.told(found["trades"], Unit.COUNT)
    words = {
        "cagr": "a year",
        "sharpe": "a year",
        "sortino": "a year",
        "max_drawdown": f"{length} long" if deepest else length,
        "win_rate": f"of {trades} closed trades",
        "profit_factor": "wins by losses",
        "exposure": "of all time",
    }
    return [
        (figure.name, figures.told(figure.value, figure.unit), figure.why or words[figure.key])
        for figure in map(found.figure, _CARDS)
    ]


def section(assessments: Sequence[Assessment]) -> str:
    """Return the figures of all strategies as HTML, a column each; empty where there is none."""
    if not assessments:
        return ""
    groups = "".join(_group(name, assessments) for name in GROUPS)
    notes = "".join(f"<p>{escape(note)}</p>" for note in _notes(assessments))
    return f'<section><h2>All statistics</h2>{notes}<div class="groups{" many" if len(assessments) > 1 else ""}">{groups}</div></section>\n'


def _notes(assessments: Sequence[Assessment]) -> Sequence[str]:
    """Return each once, with whose it is where there are several."""
    named = len(assessments) > 1
    told = [
        f"{each.strategy}: {note}" if named else note
        for each in assessments
        for note in (f"Ratios are made of {each.period.words}.", *each.cautions)
    ]
    return list(dict.fromkeys(told))


def _group(name: str, assessments: Sequence[Assessment]) -> str:
    first = [figure for figure in assessments[0].figures if figure.group == name]
    heads = "".join(
        f'<th scope="col" class="number">{escape(each.strategy) if len(assessments) > 1 else "value"}</th>'
        for each in assessments
    )
    rows = "".join(_row(figure, [each.figure(figure.key) for each in assessments]) for figure in first)  # fmt: skip
    return (
        f'<div class="wide"><table class="figures"><thead><tr><th scope="col">{name}</th>{heads}'
        f'<th scope="col">meaning</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _row(told: Figure, found: Sequence[Figure]) -> str:
    cells = "".join(
        f'<td class="number{_sign(each)}">{figures.told(each.value, each.unit)}</td>'
        for each in found
    )
    why = "; ".join(dict.fromkeys(each.why for each in found if each.why))
    reason = f" <em>No value: {escape(why)}.</em>" if why else ""
    return f'<tr><th scope="row">{escape(told.name)}</th>{cells}<td class="words">{escape(told.words)}{reason}</td></tr>'


def _sign(figure: Figure) -> str:
    if figure.key not in _SIGNED or figure.value is None:
        return ""
    value = float(str(figure.value))
    return " gain" if value > 0 else " loss" if value < 0 else ""
