# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""SSL contexts: trusted certificate authorities, and client certificates."""

import os
import ssl
import tempfile
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import NameOID
from requests.certs import where
from urllib3.util.ssl_ import create_urllib3_context

from ..errors import ConfigurationError, _lt


def tls_context(client_certificate=None):
    """The context for connections with (or without) a client certificate.

    client_certificate: PEM text, certificate(s) and unencrypted private key.
    The trusted authorities are those of `requests`: certifi (Debian: the system's
    store), or the bundle in REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE. Raises
    ConfigurationError. One context serves all threads.
    """
    bundle = (
        os.environ.get("REQUESTS_CA_BUNDLE")
        or os.environ.get("CURL_CA_BUNDLE")
        or where()
    )
    return _context(bundle, client_certificate or None)


@lru_cache(64)
def _context(bundle, client_certificate):
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    try:
        if os.path.isdir(bundle):
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
    except OSError as error:
        raise ConfigurationError(
            _lt(
                'the trusted certificates in "%(file)s" can\'t be read: %(error)s. '
                "Restore that file, or correct REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE "
                "in the environment of this Odoo server."
            ),
            file=bundle,
            error=str(error),
        ) from error
    if client_certificate:
        _load_client_certificate(context, client_certificate)
    return context


def _load_client_certificate(context, pem):
    # OpenSSL reads it only from a file: mode 0600, deleted immediately.
    descriptor, path = tempfile.mkstemp(suffix=".pem")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(pem)
        # Without a password function OpenSSL would prompt on the terminal.
        context.load_cert_chain(path, password=lambda: "")
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            _lt(
                "the client certificate can't be used: %(error)s. Enter the"
                " certificate and its private key without password, as PEM."
            ),
            error=getattr(error, "reason", None) or type(error).__name__,
        ) from error
    finally:
        os.unlink(path)


@dataclass(frozen=True)
class CertificateSummary:
    """The subject of a certificate and its last valid day (UTC)."""

    name: str
    until: date


def describe(pem):
    """The `CertificateSummary` of the first certificate in a PEM text.

    Raises ConfigurationError when there is none.
    """
    try:
        certificate = x509.load_pem_x509_certificates(pem.encode())[0]
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError as error:
        raise ConfigurationError(
            _lt(
                "the client certificate is not a valid PEM certificate. Enter the "
                "certificate and its private key without password, as PEM."
            )
        ) from error
    name = names[0].value if names else certificate.subject.rfc4514_string()
    until = getattr(certificate, "not_valid_after_utc", None)
    return CertificateSummary(name, (until or certificate.not_valid_after).date())
