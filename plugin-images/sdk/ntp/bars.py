"""OHLCV bars closed by event time; one implementation for test and live."""
