"""A local exchange: Binance's spot stream and REST subset, and Polygon's stocks stream, on one port.

The protocol machines know no socket and no clock; `server` and `connection` alone do.
"""
