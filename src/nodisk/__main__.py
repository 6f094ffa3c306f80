"""``python -m nodisk``, and the command ``nodisk``."""

import signal

# Until there are handlers, Ctrl-C just ends the process: Python's own raises an exception, which is a traceback at this
# point, or is lost in a callback of the import system.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from nodisk.cli import main

if __name__ == "__main__":
    main()
