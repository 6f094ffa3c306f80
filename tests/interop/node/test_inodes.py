"""A machine's RAM disks in the kernel: the files that they may hold are bounded by what the budget gives them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nodisk import node, run
from nodisk.plan import system

pytestmark = pytest.mark.interop
LOOK = "mount -t tmpfs -o {options} tmpfs {where} && df --output=itotal,size --block-size=1M {where} | tail -n 1"


@pytest.mark.parametrize("size", [64, 300, 1800])
def test_the_kernel_takes_the_mount_units_options(size: int, tmp_path: Path) -> None:
    found = re.search(r"^Options=(.+)$", system.ram_mount("/var/lib/kubelet", size, mode="0750"), re.MULTILINE)
    assert found is not None
    script = LOOK.format(options=found[1], where=tmp_path)
    files, mib = run.run(["unshare", "--mount", "sh", "-c", script]).stdout.split()
    assert (int(files), int(mib)) == (system.inodes(size), size)
    assert int(files) >= 16384


@pytest.mark.parametrize("size", [128, 512, 2048])
def test_the_initramfs_counts_as_the_plan_does(size: int, tmp_path: Path) -> None:
    text = (node.DRACUT / "init").read_text(encoding="utf-8")
    found = re.search(r'^    overlay=\$\(arg.*?^    mount -t tmpfs -o "([^"]+)"', text, re.MULTILINE | re.DOTALL)
    assert found is not None
    script = f"arg() {{ echo {size}m; }}\n{found[0].rpartition(chr(10))[0]}\n"
    script += LOOK.format(options=f'"{found[1]}"', where=tmp_path)
    files, mib = run.run(["unshare", "--mount", "sh", "-c", script]).stdout.split()
    assert (int(files), int(mib)) == (system.inodes(size), size)
