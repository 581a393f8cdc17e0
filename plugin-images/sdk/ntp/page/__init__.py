"""The page of a run: one HTML file that opens anywhere, with prices, signals, fills and what they brought.

Pure: a `Run` goes in, text comes out. Nothing in the page asks the network for anything.
"""

from ntp.page.html import render as render
from ntp.page.run import Run as Run
from ntp.page.run import Table as Table
from ntp.page.run import Track as Track
