"""structlog, imported without rich: 4 MiB and a hundred modules less for a process that lives long.

structlog imports rich where it is installed, for tracebacks in colour, and does without where it is not; ours are
text before it sees them (`orchestrator.app.logging`). To import this module is enough, before anybody else imports
structlog. Whoever asks for rich afterwards has it: the command line's tables do. Whoever imported either of them
before has it whole.
"""

import sys
from importlib import import_module

_LEFT_OUT = "rich"

if _LEFT_OUT not in sys.modules:
    sys.modules[_LEFT_OUT] = None  # type: ignore[assignment]  # to import it raises ModuleNotFoundError
    try:
        import_module("structlog")
    finally:
        del sys.modules[_LEFT_OUT]
