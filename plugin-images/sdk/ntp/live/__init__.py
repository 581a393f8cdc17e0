"""For sources of live markets: `source.LiveSource`, a class to extend, and the parts that it is made of.

A WebSocket that is kept open (`line`), what it is asked for (`subscriptions`), a pace to ask at (`pace`), the
numbers of trades (`trail`). Never required. Import the modules late or by name: most need the `websockets` library.
"""
