"""Sizes: what one student may use, as data (``sizes.yaml``, or a file of the teacher's)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from nodisk import yamltree
from nodisk.errors import SpecError
from nodisk.spec import document, messages
from nodisk.spec.finding import Finding
from nodisk.yamltree import Problem, YamlError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,2})?)([num]|[kMGTPE]|[KMGTPE]i)?")
_NUMBER = re.compile(r"0|[1-9][0-9]*")
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
        raise ValueError("must be greater than zero")
    return text


def _plain_number(value: Any) -> Any:
    """A number of a file, which comes as its text: readers of YAML disagree on what 010 and 1_000 are."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError(f"{value!r} is not a whole number; write it as 10, without leading zeros")
    return value


Quantity = Annotated[str, AfterValidator(_positive)]
Count = Annotated[int, BeforeValidator(_plain_number), Field(ge=0, le=10_000)]


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
    return {name: Size.model_validate(value) for name, value in document.data_of(yamltree.parse(text)[0]).items()}


def find(word: str) -> tuple[str, Size]:
    """The size called ``word``, or of the file ``word``: (its name, the size). Raises NodiskError."""
    known = named()
    if word in known:
        return word, known[word]
    path = Path(word)
    if not os.path.lexists(path):
        raise SpecError(f"unknown size {word!r}: use {', '.join(known)}, or the path of your own size file")
    usage = f"--size takes {', '.join(known)}, or a file with a size of your own"
    return path.stem, parse(document.read(path, usage=usage, absent=usage), file=path)


def parse(text: str, *, file: str | Path) -> Size:
    """A size from text; ``file`` is its name for messages. Raises SpecError with every problem."""
    problems: list[Problem] = []
    size = None
    try:
        root, problems = yamltree.parse(text)
    except YamlError as error:
        problems = [error.problem]
    else:
        try:
            size = Size.model_validate(document.data_of(root))
        except ValidationError as error:
            found = (_finding(item) for item in error.errors(include_url=False))
            problems = [*problems, *(document.place(root, finding) for finding in found)]
    if size is None or problems:
        by_line = sorted(problems, key=lambda problem: (problem.line, problem.column))
        raise document.refused(by_line, file, hint="see docs/reference/class-sizes.md for all fields")
    return size


def _finding(error: ErrorDetails) -> Finding:
    """What pydantic says, in the words of lab.yaml's messages; only the keys are others."""
    path = error["loc"]
    if error["type"] != "extra_forbidden":
        return messages.of(error)
    model = Container if path[0] == "container" and len(path) > 1 else Size
    hint = messages.nearest(str(path[-1]), model.model_fields)
    return Finding(path, f"unknown key {path[-1]!r}", hint or "remove it", key=True)


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
