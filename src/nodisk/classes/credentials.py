"""Tokens of students and teachers: kept while they are good, else asked for, and used once as their owners will."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime

from nodisk.classes.handouts import digest
from nodisk.classes.record import Account, Class, now
from nodisk.errors import NodiskError
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import Forbidden, Unauthorized
from nodisk.waiting import Deadline

# How long a fresh right may take to be known to the API server (its caches follow etcd by milliseconds).
SETTLE = 10.0


@dataclass(frozen=True, slots=True)
class Credential:
    """A token that was just made; it is in memory and in the handouts only."""

    account: Account
    token: str = field(repr=False)


def good(client: Client, record: Class, account: Account, held: str) -> bool:
    """Whether a token that is handed out is the account's last one, and good until the end of the class."""
    ours = digest(held) == account.token_sha256 and account.until in (None, record.expires)
    return ours and accepted(client.with_token(held), record.identities)


def mint(client: Client, record: Class, account: Account, there: list[Object]) -> Credential:
    """Ask for a token that ends with the class, and dies with the account's Secret, which is among the objects
    ``there``; the expiry recorded is the server's.
    """
    secret = next(obj for obj in there if obj["kind"] == "Secret")
    seconds = max(600, math.ceil((record.expires - now()).total_seconds()))
    token, ends = client.token(record.identities, account.service_account, seconds=seconds, bound_to=secret)
    facts = {"token_sha256": digest(token), "expires": datetime.fromisoformat(ends), "until": record.expires}
    return Credential(account.model_copy(update=facts), token)


def accepted(holder: Client, namespace: str) -> bool:
    """Whether the API server knows the holder of a token, whatever that may do: not if it has expired, nor if its
    ServiceAccount, its Secret or the key that signed it is another by now.
    """
    try:
        holder.request("GET", holder.path("v1", "Pod", namespace=namespace), params={"limit": "1"})
    except Forbidden:
        return True
    except Unauthorized:
        return False
    return True


def first_call(student: Client, namespace: str) -> None:
    """Use a credential as its owner will: list the pods of the namespace. Raises NodiskError if that isn't allowed."""
    deadline = Deadline(SETTLE)
    path = student.path("v1", "Pod", namespace=namespace)
    while True:
        try:
            student.request("GET", path, params={"limit": "1"})
        except (Forbidden, Unauthorized) as error:
            if not deadline.pause(0.02):
                raise NodiskError(f"the new credential is not accepted in {namespace}: {error.message}") from error
        else:
            return
