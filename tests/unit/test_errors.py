# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Service errors."""

from services.errors import (
    ConfigurationError,
    EgressRefused,
    Message,
    PayloadError,
    ServiceError,
    UnsupportedOperator,
)


def test_error_text_is_the_template_with_its_values():
    """An error reads as its template filled in, and keeps both for translating."""
    error = ServiceError("part %(part)s of %(template)s", part="5x", template="t")

    assert "part 5x of t" == str(error)
    assert "part %(part)s of %(template)s" == error.template
    assert {"part": "5x", "template": "t"} == error.values


def test_template_without_values_is_literal():
    """A percent sign in a template without values stays, as in `env._`."""
    assert "lengthened by up to 20 %" == str(ServiceError("lengthened by up to 20 %"))


def test_unsupported_operator_names_it():
    """The operator can be read off the error, and it is a configuration fault."""
    error = UnsupportedOperator("no %(operator)s", operator="like")

    assert "like" == error.operator
    assert isinstance(error, ConfigurationError)


def test_all_kinds_are_service_errors():
    """Code that catches ServiceError catches every refusal of a service."""
    for kind in (ConfigurationError, EgressRefused, PayloadError):
        assert issubclass(kind, ServiceError)


def test_nested_messages_read_as_one_sentence():
    """A message inside another is filled in, too, however deep."""
    inner = Message("%(kind)s address", {"kind": Message("private")})
    error = ConfigurationError('"%(host)s": %(why)s', host="a", why=inner)

    assert '"a": private address' == str(error)


def test_an_error_names_its_place():
    """Who knows the rule or line that an error is about sets it, and it is shown."""
    error = ConfigurationError("no %(what)s", what="value")
    error.where = "header rule X-Order"

    assert "header rule X-Order: no value" == str(error)
    assert "no value" == str(error.message)
