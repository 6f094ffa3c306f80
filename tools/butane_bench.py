"""How fast: ``python -m tools.butane_bench [FILE]`` prints what a translation costs, in this process and as a command.

The best of several runs counts: what else the host does can only add to it.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nodisk import run
from nodisk.butane import translate

IN_PROCESS_MS = 3.0
AS_COMMAND_S = 0.15

MACHINE = """\
variant: fcos
version: 1.4.0
passwd:
  users:
    - name: core
      groups: [sudo]
      ssh_authorized_keys: [ssh-ed25519 AAAA one, ssh-ed25519 AAAA two]
storage:
  directories:
    - path: /var/lib/lab
      mode: 0755
  filesystems:
    - device: /dev/disk/by-label/data
      format: ext4
      path: /var/lib/data
      with_mount_unit: true
  links:
    - path: /etc/localtime
      target: ../usr/share/zoneinfo/Europe/Warsaw
  files:
""" + "".join(
    f"    - path: /etc/lab/file-{number}.conf\n      mode: 0644\n      contents:\n        inline: |\n"
    + "".join(f"          setting_{line} = {number * line}\n" for line in range(20))
    for number in range(12)
)
MACHINE += "systemd:\n  units:\n" + "".join(
    f"    - name: lab-{number}.service\n      enabled: true\n      contents: |\n        [Service]\n"
    f"        ExecStart=/usr/bin/lab {number}\n        [Install]\n        WantedBy=multi-user.target\n"
    for number in range(6)
)
"""A typical machine: 12 files, 6 units, a mount; some 370 lines."""


def best(action: Callable[[], object], runs: int) -> float:
    """Seconds of processor time of the fastest of ``runs``."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)


def in_process(text: str, runs: int = 50) -> float:
    """Milliseconds that ``translate`` takes."""
    return best(lambda: translate(text, strict=True), runs) * 1000


def as_command(file: Path, runs: int = 10) -> tuple[float, float]:
    """(wall seconds, processor seconds) of ``nodisk butane FILE``, the best of each."""
    walls, processor = [], []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        run.run([Path(sys.executable).parent / "nodisk", "butane", file])
        walls.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(walls), min(processor)


def main(argv: list[str]) -> int:
    """Print the figures; status 1 if one is over its limit."""
    if argv:
        file = Path(argv[0])
    else:
        import tempfile  # noqa: PLC0415

        file = Path(tempfile.mkdtemp()) / "machine.bu"
        file.write_text(MACHINE, encoding="utf-8")
    text = file.read_text(encoding="utf-8")
    result = translate(text, strict=True)
    if result.ignition is None:
        sys.stderr.write(f"{result.report}\n")
        return 1
    spent = in_process(text)
    wall, processor = as_command(file)
    sys.stdout.write(
        f"document:   {len(text)} bytes, {text.count(chr(10))} lines → {len(result.json())} bytes of Ignition\n"
        f"in-process: {spent:.2f} ms (at most {IN_PROCESS_MS:g} ms)\n"
        f"as command: {wall:.3f} s, {processor:.3f} s of processor time (at most {AS_COMMAND_S:g} s)\n"
    )
    return int(spent > IN_PROCESS_MS or wall > AS_COMMAND_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
