"""Sizes: what one student may use, as data (``sizes.yaml``, or a file of the teacher's)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from nodisk.errors import SpecError

_QUANTITY = re.compile(r"(\d+(?:\.\d*)?(?:[eE][+-]?\d{1,2})?)([num]|[kMGTPE]|[KMGTPE]i)?")
_POWERS = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1), "k": Decimal(1000)}
_POWERS |= {unit: Decimal(1000) ** power for power, unit in enumerate("MGTPE", 2)}
_POWERS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}


def amount(text: str) -> Decimal:
    """A quantity as Kubernetes writes it (``500m``, ``2Gi``) → cores or bytes; raises ValueError."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity such as 500m, 2 or 512Mi")
    return Decimal(match[1]) * _POWERS[match[2] or ""]


def _positive(text: str) -> str:
    if amount(text) <= 0:
        raise ValueError("must be more than nothing")
    return text


Quantity = Annotated[str, AfterValidator(_positive)]
Count = Annotated[int, Field(ge=0, le=10_000)]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, coerce_numbers_to_str=True)


class Container(_Data):
    """What a container gets that doesn't say what it needs."""

    cpu: Quantity
    """Guaranteed."""
    cpu_burst: Quantity
    """At most."""
    memory: Quantity
    """Guaranteed and at most."""
    ephemeral: Quantity
    """Files it writes, and its log; RAM on a diskless node."""


class Size(_Data):
    """What one student may use."""

    cpu: Quantity
    """Cores that are guaranteed; counted against what the nodes have."""
    cpu_burst: Quantity
    """Cores at most, while nobody else wants them."""
    memory: Quantity
    """RAM, guaranteed and at most."""
    ephemeral: Quantity
    """Written files, emptyDir volumes and logs of all pods together; RAM on a diskless node."""
    pods: Count
    """Pods at one time."""
    services: Count
    """Services."""
    node_ports: Count
    """Services that can be reached from outside the cluster; 0: none."""
    claims: Count
    """PersistentVolumeClaims."""
    objects: Count
    """ConfigMaps, and as many Secrets, Deployments, StatefulSets, Jobs and CronJobs."""
    container: Container
    """For containers that don't say what they need."""


def named() -> dict[str, Size]:
    """The sizes that nodisk brings."""
    text = (resources.files("nodisk.classes") / "sizes.yaml").read_text(encoding="utf-8")
    return {name: Size.model_validate(value) for name, value in yaml.safe_load(text).items()}


def find(word: str) -> tuple[str, Size]:
    """The size called ``word``, or of the file ``word``: (its name, the size). Raises SpecError."""
    known = named()
    if word in known:
        return word, known[word]
    path = Path(word)
    if not path.is_file():
        raise SpecError(f"no size {word!r}: choose {', '.join(known)}, or name a file with a size of your own")
    try:
        return path.stem, Size.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} is not YAML: {error}") from error
    except ValidationError as error:
        lines = [f"{path}: {'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors()]
        raise SpecError("\n".join(lines), hint="docs/reference/class-sizes.md has every field") from error


def quota(size: Size) -> dict[str, str]:
    """The ``hard`` limits of a student's ResourceQuota."""
    kinds = ("configmaps", "secrets", "deployments.apps", "statefulsets.apps", "jobs.batch", "cronjobs.batch")
    hard: Mapping[str, Any] = {
        "requests.cpu": size.cpu,
        "limits.cpu": size.cpu_burst,
        "requests.memory": size.memory,
        "limits.memory": size.memory,
        "requests.ephemeral-storage": size.ephemeral,
        "limits.ephemeral-storage": size.ephemeral,
        "pods": size.pods,
        "services": size.services,
        "services.nodeports": size.node_ports,
        "services.loadbalancers": 0,
        "persistentvolumeclaims": size.claims,
        **{f"count/{kind}": size.objects for kind in kinds},
    }
    return {key: str(value) for key, value in hard.items()}
