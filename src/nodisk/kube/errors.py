"""The API server's failures as errors.

::

    NodiskError
    └── ApiError            the API refused; ``status``, ``reason`` and ``details`` are its own words
        ├── Unreachable     no answer at all: connection refused, cut, TLS not trusted
        │   └── Late        none in the time given: the server may be slow
        ├── BadRequest 400  ├── Unauthorized 401  ├── Forbidden 403  ├── NotFound 404
        ├── Conflict 409    │   └── AlreadyExists
        ├── Gone 410        ├── Invalid 422
        └── Overloaded      429, 5xx: even after all retries
"""

from __future__ import annotations

import json
from typing import Any

from nodisk.errors import NodiskError


class ApiError(NodiskError):
    """The API server answered with a Status that is a failure."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        reason: str = "",
        details: dict[str, Any] | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        """The HTTP status; 0: there was none."""
        self.reason = reason
        """The API's own word, such as ``NotFound``."""
        self.details = details or {}
        self.retry_after: float | None = None
        """Seconds that the server asked the client to wait, if it did."""
        self.repeated = False
        """Whether the request had been sent before, so that the refusal may be the result of the first attempt."""


class Unreachable(ApiError):
    """No answer: nobody listens, the connection broke, or its TLS certificate is not trusted."""


class Late(Unreachable):
    """No answer in the time given; a busy API server may only have needed more time."""


class BadRequest(ApiError):
    """400: the API server can't read what was sent."""


class Unauthorized(ApiError):
    """401: the credentials are not, or no longer, accepted."""


class Forbidden(ApiError):
    """403: the credentials are good, but may not do this; a full quota is also reported so."""


class NotFound(ApiError):
    """404: no such object, or no such kind in this release."""


class Conflict(ApiError):
    """409: the object changed meanwhile, or another manager owns a field."""

    @property
    def of_managers(self) -> bool:
        """Whether another manager owns a field, so that a retry changes nothing."""
        return any(cause.get("reason") == "FieldManagerConflict" for cause in self.details.get("causes") or [])


class AlreadyExists(Conflict):
    """409: an object of that name already exists."""


class Gone(ApiError):
    """410: a resource version is too old to watch or list from."""


class Invalid(ApiError):
    """422: the API server refuses the object's content."""


class Overloaded(ApiError):
    """429 or 5xx, even after all retries."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: Overloaded,
}


def from_status(status: int, body: bytes, what: str, retry_after: str | None = None) -> ApiError:
    """Make the error for an answer with HTTP status ``status`` to ``what`` (``GET /api/v1/nodes``)."""
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = None
    found: dict[str, Any] = parsed if isinstance(parsed, dict) else {}
    reason = str(found.get("reason") or "")
    said = str(found.get("message") or "") or body[:200].decode(errors="replace").strip() or f"status {status}"
    kind = _BY_STATUS.get(status) or (Overloaded if status >= 500 else ApiError)
    if kind is Conflict and reason == "AlreadyExists":
        kind = AlreadyExists
    hint = None
    if kind is Unauthorized:
        hint = "the credentials are expired, revoked or for another cluster; get new ones with nodisk kubeconfig"
    error = kind(f"{what}: {said}", status=status, reason=reason, details=found.get("details"), hint=hint)
    if retry_after and retry_after.isdigit():
        error.retry_after = float(retry_after)
    return error
