"""Debian's own ``ignition-validate`` (2.14.0, specs to 3.3.0) judges configs as ``nodisk.butane.validate`` does.

The program is taken from the host, or from Debian's package, which is unpacked into the tests' cache and not installed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.golden.butane.conftest import CASES

from nodisk.butane import validate

pytestmark = pytest.mark.interop


@pytest.fixture(scope="session")
def judge(request: pytest.FixtureRequest) -> Path:
    """The program."""
    found = shutil.which("ignition-validate")
    if found:
        return Path(found)
    assert request.config.cache is not None
    folder = request.config.cache.mkdir("ignition")
    program = folder / "usr/bin/ignition-validate"
    if not program.exists():
        download = ["apt-get", "-o", "APT::Sandbox::User=root", "download", "ignition"]
        subprocess.run(download, cwd=folder, check=True, capture_output=True)
        package = next(folder.glob("ignition_*.deb"))
        subprocess.run(["dpkg", "-x", package, folder], check=True, capture_output=True)
    return program


def accepts(judge: Path, config: str) -> bool:
    done = subprocess.run([judge, "-"], input=config.encode(), capture_output=True, check=False)
    return done.returncode == 0


def config(spec: int, **sections: Any) -> dict[str, Any]:
    return {"ignition": {"version": f"3.{spec}.0"}, **sections}


def files(**file: Any) -> dict[str, Any]:
    return {"storage": {"files": [{"path": "/a", **file}]}}


HASH512, HASH256 = "sha512-" + "a" * 128, "sha256-" + "b" * 64
DISK = {"device": "/dev/vda"}
SECTIONS: list[dict[str, Any]] = [
    {},
    files(),
    files(path="a"),
    files(path="/a/../b"),
    files(mode=0o644),
    files(mode=99999),
    files(overwrite=True),
    files(user={"id": 1, "name": "x"}),
    files(contents={"source": "data:,x", "compression": "gzip"}),
    files(contents={"source": "data:,x", "compression": "xz"}),
    files(contents={"source": "data:;base64,YQ="}),
    files(contents={"source": "data:,%zz"}),
    files(contents={"source": "gopher://x"}),
    files(contents={"source": "gs://b/o"}),
    files(contents={"source": "s3://b/k?versionId="}),
    files(contents={"source": "http://h:port/"}),
    files(contents={"source": "http://h/", "verification": {"hash": HASH512}}),
    files(contents={"source": "http://h/", "verification": {"hash": HASH256}}),
    files(contents={"source": "http://h/", "verification": {"hash": "md5-x"}}),
    files(contents={"verification": {"hash": HASH512}}),
    files(append=[{"source": "data:,x"}, {"source": "data:,x"}]),
    {"storage": {"files": [{"path": "/a"}, {"path": "/a"}]}},
    {"storage": {"files": [{"path": "/a"}], "directories": [{"path": "/a"}]}},
    {"storage": {"files": [{"path": "/l/a"}], "links": [{"path": "/l", "target": "/x"}]}},
    {"storage": {"links": [{"path": "/l"}]}},
    {"storage": {"links": [{"path": "/l", "target": "/d", "hard": True}], "directories": [{"path": "/d"}]}},
    {"storage": {"disks": [{"device": ""}]}},
    {"storage": {"disks": [{**DISK, "partitions": [{}]}]}},
    {"storage": {"disks": [{**DISK, "partitions": [{"number": 1}, {"number": 1}]}]}},
    {"storage": {"disks": [{**DISK, "partitions": [{"label": "a:b"}]}]}},
    {"storage": {"disks": [{**DISK, "partitions": [{"label": "x" * 37}]}]}},
    {"storage": {"disks": [{**DISK, "partitions": [{"number": 1, "shouldExist": False, "sizeMiB": 1}]}]}},
    {
        "storage": {
            "disks": [
                {
                    **DISK,
                    "partitions": [
                        {"number": 1, "startMiB": 1, "sizeMiB": 10},
                        {"number": 2, "startMiB": 5, "sizeMiB": 1},
                    ],
                }
            ]
        }
    },
    {"storage": {"filesystems": [{"device": "/dev/vda", "format": "ext4", "label": "x" * 17}]}},
    {"storage": {"filesystems": [{"device": "/dev/vda", "format": "none"}]}},
    {"storage": {"filesystems": [{"device": "/dev/vda", "path": "/x"}]}},
    {"storage": {"raid": [{"name": "r", "level": "raid0", "devices": ["/dev/a"], "spares": 1}]}},
    {"storage": {"raid": [{"name": "r", "level": "raid9", "devices": ["/dev/a"]}]}},
    {"storage": {"raid": [{"name": "r", "level": "raid1", "devices": []}]}},
    {"systemd": {"units": [{"name": "a.service", "contents": "[Service]\nExecStart=/x\n"}]}},
    {"systemd": {"units": [{"name": "a.service", "contents": "[Service"}]}},
    {"systemd": {"units": [{"name": "a.service", "contents": "[Service]\nfoo\n"}]}},
    {"systemd": {"units": [{"name": "a"}]}},
    {"systemd": {"units": [{"name": "a.service", "dropins": [{"name": "x"}]}]}},
    {"systemd": {"units": [{"name": "a.service"}, {"name": "a.service"}]}},
    {"passwd": {"users": [{"name": "a"}, {"name": "a"}]}},
    {"passwd": {"users": [{"name": "a", "sshAuthorizedKeys": ["k", "k"]}]}},
    {"passwd": {"users": [{"name": "a", "uid": "5"}]}},
    {"unknown": 1},
]
LUKS: list[dict[str, Any]] = [
    {"name": "a"},
    {"name": "a", "device": "/dev/vda"},
    {"name": "a/b", "device": "/dev/vda"},
    {"name": "a", "device": "/dev/vda", "clevis": {"tang": [{"url": "ftp://x", "thumbprint": "t"}]}},
    {"name": "a", "device": "/dev/vda", "clevis": {"custom": {"pin": "x", "config": "{}"}}},
    {"name": "a", "device": "/dev/vda", "clevis": {"custom": {"pin": "tang", "config": "{}"}, "tpm2": True}},
]
ALL = [config(spec, **sections) for spec in range(4) for sections in SECTIONS]
ALL += [config(spec, storage={"luks": [volume]}) for spec in (2, 3) for volume in LUKS]
ALL += [config(3, kernelArguments={"shouldExist": ["a"], "shouldNotExist": ["a"]}), config(9), {"ignition": {}}, {}]


def test_the_same_verdict(judge: Path) -> None:
    differ = []
    for one in ALL:
        text = json.dumps(one)
        if accepts(judge, text) != (validate(text).failure is None):
            differ.append((text, str(validate(text))))
    assert not differ


def test_every_recorded_output_is_accepted(judge: Path) -> None:
    outputs = [path.read_text() for path in sorted(CASES.glob("*/expected.ign")) if path.read_text().strip()]
    known = [
        text for text in outputs if json.loads(text)["ignition"]["version"] in ("3.0.0", "3.1.0", "3.2.0", "3.3.0")
    ]
    assert len(known) > 20
    for text in known:
        assert accepts(judge, text), text
        assert validate(text).failure is None, text
