"""What holds for all tests."""

import os
import signal

# A shell starts what runs in its background (`make test &`) with Ctrl-C ignored, and every program that a
# test starts, and then ends by SIGINT, would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The machine of a test may have an engine; a test that means Docker says so.
os.environ.setdefault("NTP_RUNTIME", "process")
