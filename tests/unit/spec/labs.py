"""Texts of lab.yaml for the tests."""

TEN_LINES = """\
name: room
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines:
  - name: cp1
    mac: 52:54:00:00:00:01
    address: 10.77.0.11
    role: control-plane
  - name: w1
    mac: 52:54:00:00:00:02
    address: 10.77.0.12
"""

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@here"


def lab(*, top: str = "", network: str = "", kubernetes: str = "", machine: str = "", w1: str = "") -> str:
    """A lab of two machines with a line or more added in one place (or, of ``w1``, the second machine replaced)."""
    second = w1 or "name: w1, mac: 52:54:00:00:00:02, address: 10.77.0.12"
    return f"""\
name: room
network:
  subnet: 10.77.0.0/24
  server: 10.77.0.1
  gateway: 10.77.0.254
{network}
kubernetes:
  network: routed
{kubernetes}
machines:
- {{name: cp1, mac: 52:54:00:00:00:01, address: 10.77.0.11, role: control-plane{", " if machine else ""}{machine}}}
- {{{second}}}
{top}
"""
