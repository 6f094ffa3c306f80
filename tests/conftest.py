"""What all tests start from."""

from __future__ import annotations

import signal

# Whoever starts the tests may ignore these (nohup, a shell's background job), and what ignores them hands that on: the
# programs under test would then rightly ignore what tests send them.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
