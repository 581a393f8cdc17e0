"""The table of monthly returns: a row a year, coloured by how much was won or lost."""

from html import escape

from ntp.page import figures
from ntp.page.shades import shade
from ntp.statistics.assessment import Assessment

_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def table(found: Assessment) -> str:
    """Return the table as HTML; empty where the data is of one month alone, whose return is the total one."""
    if len(found.months) < 2:
        return ""
    shares = {(month.year, month.month): month.share for month in found.months}
    most = max(map(abs, shares.values()))
    head = "".join(f'<th scope="col">{name}</th>' for name in (*_NAMES, "Year"))
    rows = "".join(
        f'<tr><th scope="row">{year}</th>'
        + "".join(_cell(shares.get((year, number)), most) for number in range(1, 13))
        + f'<td class="total">{_told(whole)}</td></tr>'
        for year, whole in found.years.items()
    )
    return (
        f"<section><h2>Monthly returns{_of(found)}</h2>"
        "<p>in per cent: a month's last equity by the last one before it; the first and the last month may be in part</p>"
        f'<div class="wide"><table class="months"><caption class="spoken">Monthly returns{_of(found)}</caption>'
        f'<thead><tr><th scope="col"><span class="spoken">Year</span></th>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>\n'
    )


def _of(found: Assessment) -> str:
    return f" of {escape(found.strategy)}" if found.strategy else ""


def _cell(share: float | None, most: float) -> str:
    if share is None:
        return "<td></td>"
    named = shade(share, most)
    kind = f' class="{named}"' if named else ""
    return f"<td{kind}>{_told(share)}</td>"


def _told(share: float) -> str:
    return figures.price(share * 100, 2).replace(f"{figures.MINUS}0.00", "0.00")
