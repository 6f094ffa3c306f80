"""Reading from the API: what a release serves, one object, a list in chunks, and waiting for something to be there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from nodisk.errors import TimedOut
from nodisk.kube.discovery import Discovery
from nodisk.kube.errors import Forbidden, Gone, NotFound
from nodisk.kube.patience import Outage
from nodisk.kube.transport import Object, Transport
from nodisk.values import KubeVersion
from nodisk.waiting import Deadline

T = TypeVar("T")

PAGE = 500
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@dataclass(frozen=True, slots=True)
class Listing:
    """A list at one moment."""

    items: list[Object]
    resource_version: str
    """Where a watch continues."""


class Reader(Transport):
    """What one API server serves, as one identity may read it."""

    discovery: Discovery
    """What the server serves; shared with readers made by ``with_token``."""

    def _opened(self) -> None:
        self.discovery = Discovery(self.get_json, self.settle)

    # What is served

    def version(self) -> KubeVersion:
        """The API server's release."""
        return KubeVersion.printed(self.get_json("/version")["gitVersion"])

    def supports(self, api_version: str, kind: str) -> bool:
        """Whether this release serves ``kind`` in ``api_version`` (``policy/v1``, ``PodDisruptionBudget``)."""
        return self.discovery.supports(api_version, kind)

    def first_supported(self, kind: str, api_versions: Sequence[str]) -> str | None:
        """The first of ``api_versions`` that serves ``kind``; None if this release has it in none of them."""
        return next((version for version in api_versions if self.supports(version, kind)), None)

    def settle(self) -> None:
        """Wait until the API server serves everything, its datastore too; raises an ApiError once patience is over.

        Before that it may answer 404 for kinds that it will serve.
        """
        try:
            self.request("GET", "/readyz", accept="*/*")
        except (Forbidden, NotFound):
            return  # the caller may not know, or the release is older than the path

    def until(self, what: str, look: Callable[[], T | None]) -> T:
        """Wait until ``look`` returns something true, which a young cluster creates by itself; raises TimedOut.

        ``what`` ends the sentence "waiting for …".
        """
        # Apart from the client's own: there the next answer of the API server would end this wait, too.
        told, deadline, pause = Outage(self.outage.say), Deadline(self.patience), 0.1
        while not (found := look()):
            told.waiting(f"waiting for {what}", deadline.end - self.patience, deadline.end)
            if not deadline.pause(pause):
                raise TimedOut(
                    f"timed out after {self.patience:g} s waiting for {what}",
                    hint="check the control plane with nodisk status, then retry the command",
                )
            pause = min(pause * 1.5, 2.0)
        return found

    def path(
        self,
        api_version: str,
        kind: str,
        name: str | None = None,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
    ) -> str:
        """The URL's path of an object, a collection or a subresource."""
        resource = self.discovery.resource(api_version, kind)
        return resource.path(name=name, namespace=namespace, subresource=subresource)

    # Reading

    def get(self, api_version: str, kind: str, name: str, *, namespace: str | None = None) -> Object:
        """One object; raises NotFound."""
        return self.get_json(self.path(api_version, kind, name, namespace=namespace))

    def list(
        self,
        api_version: str,
        kind: str,
        *,
        namespace: str | None = None,
        labels: str | None = None,
        fields: str | None = None,
        metadata_only: bool = False,
    ) -> list[Object]:
        """All objects of a kind, in one namespace or in all, fetched in chunks.

        ``labels`` and ``fields`` are selectors as for kubectl; ``metadata_only`` leaves out spec and status.
        """
        return self.listing(
            api_version, kind, namespace=namespace, labels=labels, fields=fields, metadata_only=metadata_only
        ).items

    def listing(
        self,
        api_version: str,
        kind: str,
        *,
        namespace: str | None = None,
        labels: str | None = None,
        fields: str | None = None,
        metadata_only: bool = False,
    ) -> Listing:
        """As ``list``, with the resource version from which a watch continues."""
        path = self.path(api_version, kind, namespace=namespace)
        params = selector(labels, fields) | {"limit": str(PAGE)}
        accept = f"{_METADATA_ONLY},application/json" if metadata_only else "application/json"
        items: list[Object] = []
        while True:
            try:
                page = self.json("GET", path, params=params, accept=accept)
            except Gone:
                # The list took so long that its moment was compacted away: once more, in one piece.
                params, items = selector(labels, fields), []
                continue
            for item in page.get("items", []):
                items.append({"apiVersion": api_version, "kind": kind} | item)
            meta = page.get("metadata", {})
            token = meta.get("continue")
            if not token:
                return Listing(items, meta.get("resourceVersion", ""))
            params = params | {"continue": token}


def selector(labels: str | None, fields: str | None) -> dict[str, str]:
    """The query parameters of label and field selectors."""
    found = {} if labels is None else {"labelSelector": labels}
    return found if fields is None else found | {"fieldSelector": fields}
