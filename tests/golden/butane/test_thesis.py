"""The thesis' own coreos.yml gives the thesis' own coreos.ign (its chapters 10.2.14 and 10.2.15).

The keys are shortened there. Its two listings have them in different orders, so the file had been changed in between;
the order of the input is what counts.
"""

from __future__ import annotations

from nodisk.butane import clc

COREOS_YML = """\
passwd:
  users:
    - name: admin
      groups: [sudo, docker]
      ssh_authorized_keys:
        - ssh-rsa AAAAB3N...N9aLYp0ct/ nazarewk
        - ssh-rsa AAAAB3N...XRjw== nazarewk@ldap.iem.pw.edu.pl
        - ssh-rsa AAAAB3N...dAYs7Y6L8= ato@volt.iem.pw.edu.pl
"""

COREOS_IGN = """\
{
  "ignition": {
    "config": {},
    "timeouts": {},
    "version": "2.1.0"
  },
  "networkd": {},
  "passwd": {
    "users": [
      {
        "groups": [
          "sudo",
          "docker"
        ],
        "name": "admin",
        "sshAuthorizedKeys": [
          "ssh-rsa AAAAB3N...N9aLYp0ct/ nazarewk",
          "ssh-rsa AAAAB3N...XRjw== nazarewk@ldap.iem.pw.edu.pl",
          "ssh-rsa AAAAB3N...dAYs7Y6L8= ato@volt.iem.pw.edu.pl"
        ]
      }
    ]
  },
  "storage": {},
  "systemd": {}
}"""


def test_the_thesis_file() -> None:
    result = clc.translate(COREOS_YML, to="2.1.0")
    assert result.json(pretty=True) == COREOS_IGN
    assert len(result.report) == 0
