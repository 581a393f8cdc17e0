"""Risk limits in plugins.yaml, as `fields` has the rest of an entry."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from orchestrator.spec.fields import closed, said
from orchestrator.spec.values import LOSS, PLAIN_AMOUNT

_AMOUNT_FIX = "write an amount above 0, such as 10000 or '2500.50'"


@closed
class Risk(TypedDict, total=False):
    max_position: Annotated[
        str,
        *PLAIN_AMOUNT,
        said(
            "Quote currency; the most that what is held of one symbol may be worth once an order is "
            "filled, at the last price",
            _AMOUNT_FIX,
            default="no limit",
            example=5000,
        ),
    ]
    max_daily_loss: Annotated[
        str,
        *LOSS,
        said(
            "Quote currency, or a share of the capital; once so much less is there than at the first "
            "tick of the day (UTC, event time), nothing is opened until the next one",
            "write a share of the capital such as 2%, or an amount above 0 such as 200",
            default="no limit",
            example="2%",
        ),
    ]
    max_orders_per_minute: Annotated[
        int,
        Field(ge=1, le=10_000),
        said(
            "Orders in the 60 s of event time up to a signal; what is beyond opens nothing",
            "write a whole number from 1 to 10000",
            default="no limit",
            example=10,
        ),
    ]


_RISK_FIX = "write a mapping such as {max_position: 5000, max_daily_loss: 2%}"
StrategyRisk = Annotated[
    Risk,
    said(
        "Limits that its executors keep before an order; what closes a position always passes",
        _RISK_FIX,
        default="no limits",
        example={"max_position": 5000, "max_daily_loss": "2%", "max_orders_per_minute": 10},
    ),
]
ExecutorRisk = Annotated[
    Risk,
    said(
        "Limits on the sum over all strategies that it executes, besides those of each",
        _RISK_FIX,
        default="no limits",
        example={"max_position": 20000, "max_daily_loss": 500},
    ),
]
