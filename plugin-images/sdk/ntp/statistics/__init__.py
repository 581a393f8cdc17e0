"""What a run came to: round trips, returns, risk, drawdown; pure, and in memory that stays the same.

curve = EquityCurve(capital)
curve.add(tick)      # each tick, then
curve.fill(fill)     # the fills that it caused
assessment = assess(fills, curve, strategy="alpha")
assessment["sharpe"], assessment.trips, assessment.months
"""

from ntp.statistics.assess import assess as assess
from ntp.statistics.assessment import Assessment as Assessment
from ntp.statistics.assessment import Figure as Figure
from ntp.statistics.assessment import Unit as Unit
from ntp.statistics.curve import EquityCurve as EquityCurve
from ntp.statistics.trips import Trip as Trip
from ntp.statistics.trips import round_trips as round_trips
