"""Stored service-account tokens after the key that signs them has changed (``nodisk pki rotate``).

Releases up to 1.23 keep a token of every service account in a Secret, and pods mount that Secret by its name. The
token controller adds a token where there is none, but never checks whether one is still valid. So nodisk removes the
invalid ones, and the controller puts valid ones into the same Secrets.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from nodisk.kube.client import Client, Object
from nodisk.kube.errors import NotFound

TYPE = "kubernetes.io/service-account-token"


def signed_by(token: str, public_key_pem: bytes) -> bool:
    """Whether a token (a JWT, RFC 7519; ES256, RFC 7518 section 3.4) was signed by this EC P-256 key's owner."""
    key = serialization.load_pem_public_key(public_key_pem)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError("not an EC public key")
    content, _, signature = token.rpartition(".")
    try:
        raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
        if len(raw) != 64:
            return False
        pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        key.verify(pair, content.encode(), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def stale(secret: Object, public_key_pem: bytes) -> bool:
    """Whether a Secret holds a service account's token that the cluster no longer accepts."""
    data = (secret.get("data") or {}).get("token")
    if secret.get("type") != TYPE or not data:
        return False
    try:
        token = base64.b64decode(data, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return True
    return not signed_by(token, public_key_pem)


def renew(client: Client, public_key_pem: bytes) -> int:
    """Remove every stale token, so that the token controller makes a new one; return how many there were."""
    found = [one for one in client.list("v1", "Secret", fields=f"type={TYPE}") if stale(one, public_key_pem)]
    for secret in found:
        meta = secret["metadata"]
        try:
            client.patch("v1", "Secret", meta["name"], {"data": {"token": None}}, namespace=meta["namespace"])
        except NotFound:
            continue  # its account went away meanwhile
    return len(found)
