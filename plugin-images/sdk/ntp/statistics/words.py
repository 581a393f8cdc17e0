"""What each figure is called and what it means, in the order in which reports show them."""

from dataclasses import dataclass

from ntp.statistics.assessment import Unit

RESULT = "Result"
RISK = "Return and risk"
FALLS = "Drawdown"
TRADES = "Trades"
ACTIVITY = "Activity"
GROUPS = (RESULT, RISK, FALLS, TRADES, ACTIVITY)


@dataclass(frozen=True, slots=True)
class Told:
    """`higher`: whether more of it is better; None: neither."""

    group: str
    name: str
    unit: Unit
    words: str
    higher: bool | None = None


FIGURES: dict[str, Told] = {
    "capital": Told(RESULT, "Capital", Unit.MONEY, "what it began with"),
    "equity": Told(RESULT, "Final equity", Unit.MONEY, "capital and all profit, after all costs", True),
    "net_profit": Told(RESULT, "Net profit", Unit.MONEY, "equity less capital: after all costs", True),
    "realised": Told(RESULT, "Realised", Unit.MONEY, "profit of what was sold again, before fees", True),
    "unrealised": Told(RESULT, "Unrealised", Unit.MONEY, "profit of what is still held, at the last price"),
    "fees": Told(RESULT, "Fees", Unit.MONEY, "of all fills", False),
    "slippage": Told(RESULT, "Spread and slippage", Unit.MONEY, "what fills cost beyond the last price", False),
    "costs": Told(RESULT, "Costs", Unit.MONEY, "fees, spread and slippage", False),
    "gross_profit": Told(RESULT, "Profit before costs", Unit.MONEY, "net profit with all costs given back", True),
    "total_return": Told(RESULT, "Total return", Unit.SHARE, "net profit by capital", True),
    "buy_and_hold": Told(RESULT, "Buy and hold", Unit.SHARE, "first to last price; of several symbols the mean"),
    "cagr": Told(RISK, "CAGR", Unit.SHARE, "compound annual growth rate: the same growth each year", True),
    "volatility": Told(RISK, "Volatility", Unit.SHARE, "standard deviation of returns, a year", False),
    "sharpe": Told(RISK, "Sharpe ratio", Unit.RATIO, "mean return by its deviation, a year", True),
    "sortino": Told(RISK, "Sortino ratio", Unit.RATIO, "mean return by the deviation of losses alone, a year", True),
    "calmar": Told(RISK, "Calmar ratio", Unit.RATIO, "CAGR by the largest drawdown", True),
    "best_period": Told(RISK, "Best period", Unit.SHARE, "the highest return of one period", True),
    "worst_period": Told(RISK, "Worst period", Unit.SHARE, "the lowest return of one period", True),
    "positive_periods": Told(RISK, "Periods that gained", Unit.SHARE, "of all periods", True),
    "skewness": Told(RISK, "Skewness", Unit.RATIO, "above 0: large gains are more frequent than large losses", True),
    "kurtosis": Told(RISK, "Excess kurtosis", Unit.RATIO, "above 0: extremes are more frequent than a normal distribution has", False),
    "max_drawdown": Told(FALLS, "Largest drawdown", Unit.SHARE, "the deepest fall from the highest equity so far, at any tick", False),
    "max_drawdown_peak": Told(FALLS, "Drawdown from", Unit.TIME, "the last moment at the peak"),
    "max_drawdown_trough": Told(FALLS, "Drawdown lowest", Unit.TIME, "when it was deepest"),
    "max_drawdown_recovered": Told(FALLS, "Drawdown recovered", Unit.TIME, "when the peak was reached again"),
    "max_drawdown_length": Told(FALLS, "Drawdown length", Unit.SECONDS, "from the peak until it was reached again, or to the end", False),
    "longest_drawdown": Told(FALLS, "Longest drawdown", Unit.SECONDS, "the longest time below a peak", False),
    "trades": Told(TRADES, "Closed trades", Unit.COUNT, "from flat to flat"),
    "open_trades": Told(TRADES, "Open trades", Unit.COUNT, "still held at the end"),
    "win_rate": Told(TRADES, "Win rate", Unit.SHARE, "closed trades that won, after fees", True),
    "profit_factor": Told(TRADES, "Profit factor", Unit.RATIO, "all wins by all losses, after fees", True),
    "expectancy": Told(TRADES, "Expectancy", Unit.MONEY, "what a closed trade brought on average, after fees", True),
    "expectancy_share": Told(TRADES, "Average trade", Unit.SHARE, "the same as a share of what was entered", True),
    "average_win": Told(TRADES, "Average win", Unit.MONEY, "after fees", True),
    "average_loss": Told(TRADES, "Average loss", Unit.MONEY, "after fees", True),
    "payoff": Told(TRADES, "Payoff ratio", Unit.RATIO, "average win by average loss", True),
    "best_trade": Told(TRADES, "Best trade", Unit.MONEY, "after fees", True),
    "worst_trade": Told(TRADES, "Worst trade", Unit.MONEY, "after fees", True),
    "sqn": Told(TRADES, "SQN", Unit.RATIO, "system quality number: expectancy by the deviation of trades, times the root of their number", True),
    "average_length": Told(TRADES, "Average length", Unit.SECONDS, "of a closed trade"),
    "longest_wins": Told(TRADES, "Wins in a row", Unit.COUNT, "at most", True),
    "longest_losses": Told(TRADES, "Losses in a row", Unit.COUNT, "at most", False),
    "fills": Told(ACTIVITY, "Fills", Unit.COUNT, "executions"),
    "traded": Told(ACTIVITY, "Traded", Unit.MONEY, "the worth of all fills"),
    "turnover": Told(ACTIVITY, "Turnover", Unit.RATIO, "how many times the capital was traded, entries and exits"),
    "turnover_year": Told(ACTIVITY, "Turnover a year", Unit.RATIO, "the same in 365.25 days"),
    "exposure": Told(ACTIVITY, "Time in the market", Unit.SHARE, "of the time from the first to the last tick in which something was held"),
}  # fmt: skip
