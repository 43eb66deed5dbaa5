"""Certificate authorities of the test's own, and what they issue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Authority", "Certificates", "Issued", "make_certificates"]


LOOPBACK = ("localhost", "127.0.0.1")
DAY = timedelta(days=1)


class Issued(NamedTuple):
    """A certificate and its key; files in PEM."""

    certificate: Path
    key: Path


class Certificates(NamedTuple):
    """Files in PEM."""

    authority: Path
    server: Path
    key: Path


class Authority:
    """Vouches for servers and clients.

    Args:
        folder: where files are written.
        name: of the authority.
    """

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        own = _builder(self._name, self._name, self._key, self._key)
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        own = own.add_extension(_signs_certificates(), critical=True)
        self.file = folder / f"{name}.pem".replace(" ", "-")
        self.file.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def issue(
        self,
        name: str,
        places: tuple[str, ...] = LOOPBACK,
        *,
        until: timedelta = 2 * DAY,
        password: bytes | None = None,
    ) -> Issued:
        """Write a key and its certificate.

        Args:
            name: of the files.
            places: host names and addresses.
            until: when it ends, from now.
            password: encrypts the key.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        names = [_place(place) for place in places]
        builder = _builder(_name(places[0]), self._name, key, self._key, until)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        issued = Issued(self._folder / f"{name}.pem", self._folder / f"{name}-key.pem")
        issued.certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        secrecy = BestAvailableEncryption(password) if password else NoEncryption()
        issued.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secrecy))
        return issued


def make_certificates(folder: Path) -> Certificates:
    """Write an authority's certificate, and a key and its certificate for ``localhost`` and 127.0.0.1."""
    authority = Authority(folder)
    return Certificates(authority.file, *authority.issue("server"))


def _place(place: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(place))
    except ValueError:
        return x509.DNSName(place)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _signs_certificates() -> x509.KeyUsage:
    unused = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
    unused += ("key_agreement", "encipher_only", "decipher_only")
    return x509.KeyUsage(**dict.fromkeys(unused, False), key_cert_sign=True, crl_sign=True)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    until: timedelta = 2 * DAY,
) -> x509.CertificateBuilder:
    now, issuer_id = (
        datetime.now(UTC),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 3 * DAY)
        .not_valid_after(now + until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issuer_id, critical=False)
    )
