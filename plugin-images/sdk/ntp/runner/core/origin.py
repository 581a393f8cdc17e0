"""A signal with what an executor needs to know of its origin."""

from ntp.contract.messages import SignalMessage, TradingSignal


def told(message: SignalMessage) -> TradingSignal:
    """Return the signal; its metadata say who sent it, and of which tick, whatever its author wrote."""
    made = message.signal
    origin = {
        "signal_id": message.id,
        "strategy": message.strategy,
        "tick_id": message.tick.id,
        "time": message.tick.time,
    }
    return TradingSignal(
        symbol=made.symbol,
        signal_type=made.signal_type,
        confidence=made.confidence,
        price=made.price,
        size=made.size,
        stop_loss=made.stop_loss,
        take_profit=made.take_profit,
        metadata={**made.metadata, **origin},
    )
