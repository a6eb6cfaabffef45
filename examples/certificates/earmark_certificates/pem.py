"""Certificates and keys as text, and what is read from them."""

import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM
_DER = serialization.Encoding.DER


def key_to_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """A private key in PEM, without a password: whoever keeps it seals it."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(_PEM, form, serialization.NoEncryption()).decode()


def csr_of(key_pem: str, host: str) -> bytes:
    """A certificate signing request for one name, in DER."""
    key = serialization.load_pem_private_key(key_pem.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    names = x509.SubjectAlternativeName([x509.DNSName(host)])
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(_DER)
    )


def public_of_csr(csr: bytes) -> str:
    """The name of the public key in a request: a hash of it, in hex."""
    return _name(x509.load_der_x509_csr(csr).public_key())


def public_of(certificate_pem: str) -> str:
    """The name of the public key in a certificate (the first one of a chain)."""
    return _name(_first(certificate_pem).public_key())


def fingerprint(certificate_pem: str) -> str:
    """The name of a certificate: SHA-256 of it, in hex."""
    return _first(certificate_pem).fingerprint(hashes.SHA256()).hex()


def to_der(certificate_pem: str) -> bytes:
    """The (first) certificate in DER."""
    return _first(certificate_pem).public_bytes(_DER)


def _first(chain: str) -> x509.Certificate:
    return x509.load_pem_x509_certificates(chain.encode())[0]


def _name(key: object) -> str:
    assert isinstance(key, ec.EllipticCurvePublicKey)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return name_of(key.public_bytes(_DER, form))


def name_of(public_key: bytes) -> str:
    """The name of a public key, given in DER: a hash of it, in hex."""
    return hashlib.sha256(public_key).hexdigest()
