"""What a client certificate says about itself."""

from dataclasses import dataclass
from datetime import date

from cryptography import x509
from cryptography.x509.oid import NameOID

from .errors import ConfigurationError, _lt


@dataclass(frozen=True)
class CertificateSummary:
    """Whom a certificate names and its last day (UTC)."""

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
            _lt("the client certificate is no PEM certificate.")
        ) from error
    name = names[0].value if names else certificate.subject.rfc4514_string()
    until = getattr(certificate, "not_valid_after_utc", None)
    return CertificateSummary(name, (until or certificate.not_valid_after).date())
