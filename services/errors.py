# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Errors of services: an untranslated template and its values.

The caller, which knows the record and the language, translates it:
``env._(error.template, **error.values)``.
"""


def _lt(text):
    """Mark `text` for Odoo's translation export; returns it unchanged."""
    return text


def say(template, values):
    """The message of a template and its values, in English."""
    return template % values if values else template


class ServiceError(Exception):
    """Base class: `template` is %-style, `values` are its arguments."""

    def __init__(self, template, /, **values):
        super().__init__(template, values)
        self.template = template
        self.values = values

    def __str__(self):
        return say(self.template, self.values)


class ConfigurationError(ServiceError):
    """Retrying can't succeed: the configuration or data must be corrected."""


class UnsupportedOperator(ConfigurationError):
    """A condition names an operator that doesn't exist; `operator` is its name."""

    @property
    def operator(self):
        return self.values["operator"]


class EgressRefused(ServiceError):
    """Requests to this address are not allowed."""


class PayloadError(ServiceError):
    """A value that JSON can't represent; `values["path"]` is its location."""
