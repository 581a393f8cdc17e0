"""For sources of live markets: a WebSocket that is kept open, a pace to ask at, the numbers of trades.

Never required. Import the modules late or by name: `line` needs the `websockets` library.
"""
