"""Requests signed with an account's key (RFC 8555 §6.2, RFC 7515), in ES256 alone."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

_HALF = 32
_SIGNATURE = ec.ECDSA(hashes.SHA256())


def b64(data: bytes) -> str:
    """Base64url without padding, as everywhere in ACME."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The bytes again; raises `ValueError`."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def new_key() -> ec.EllipticCurvePrivateKey:
    """A new key on P-256, for an account or for a certificate."""
    return ec.generate_private_key(ec.SECP256R1())


def key_as_line(key: ec.EllipticCurvePrivateKey) -> str:
    """A private key on one line, as a secret is typed: PKCS #8 in base64url."""
    form = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
    return b64(key.private_bytes(*form, serialization.NoEncryption()))


def key_of_line(line: str) -> ec.EllipticCurvePrivateKey:
    """The key again; raises `ValueError` for what is no such key."""
    try:
        key = serialization.load_der_private_key(unb64(line.strip()), None)
    except Exception as error:
        raise ValueError("not a private key in PKCS #8, on one line") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not a key on the curve P-256")
    return key


def jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """The public key as a JSON Web Key, with the members in the order of RFC 7638."""
    point = key.public_numbers()
    x, y = (b64(number.to_bytes(_HALF, "big")) for number in (point.x, point.y))
    return {"crv": "P-256", "kty": "EC", "x": x, "y": y}


def thumbprint(key: ec.EllipticCurvePublicKey) -> str:
    """The key's name (RFC 7638): by it a challenge is bound to the account."""
    text = json.dumps(jwk(key), separators=(",", ":"), sort_keys=True)
    return b64(hashlib.sha256(text.encode()).digest())


def sign(
    key: ec.EllipticCurvePrivateKey, header: Mapping[str, Any], payload: Any
) -> bytes:
    """The body of a request; without a payload (None) it only reads (§6.3)."""
    protected = b64(json.dumps({"alg": "ES256", **header}).encode())
    content = "" if payload is None else b64(json.dumps(payload).encode())
    made = key.sign(f"{protected}.{content}".encode(), _SIGNATURE)
    halves = utils.decode_dss_signature(made)
    signature = b64(b"".join(half.to_bytes(_HALF, "big") for half in halves))
    return json.dumps(
        {"protected": protected, "payload": content, "signature": signature}
    ).encode()


def public_key(of: Mapping[str, str]) -> ec.EllipticCurvePublicKey:
    """The key of a JSON Web Key; raises `ValueError`."""
    x, y = (int.from_bytes(unb64(of[one]), "big") for one in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def opened(body: bytes) -> tuple[dict[str, Any], Any, dict[str, str]]:
    """A body's header, payload and parts, before anything is believed of it."""
    parts = json.loads(body)
    content = unb64(parts["payload"])
    payload = json.loads(content) if content else None
    return json.loads(unb64(parts["protected"])), payload, parts


def is_signed(parts: Mapping[str, str], key: ec.EllipticCurvePublicKey) -> bool:
    """Whether this key signed the parts."""
    raw = unb64(parts["signature"])
    halves = (int.from_bytes(half, "big") for half in (raw[:_HALF], raw[_HALF:]))
    content = f"{parts['protected']}.{parts['payload']}".encode()
    try:
        key.verify(utils.encode_dss_signature(*halves), content, _SIGNATURE)
    except InvalidSignature:
        return False
    return True
