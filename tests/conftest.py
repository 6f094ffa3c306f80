"""What all tests start from."""

from __future__ import annotations

import signal

from hypothesis import settings

# Whoever starts the tests may ignore these (nohup, a shell's background job), and what ignores them hands that on: the
# programs under test would then rightly ignore what tests send them.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long one example takes is the host's affair: a busy one must fail no test.
settings.register_profile("nodisk", deadline=None)
settings.load_profile("nodisk")
