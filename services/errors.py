# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What can go wrong in a service: an untranslated template and its values.

The caller that knows the record and the language says it:
``env._(error.template, **error.values)``.
"""


def _lt(text):
    """Mark `text` for Odoo's translation export; gives it back unchanged."""
    return text


def say(template, values):
    """The text of a template with its values, in English."""
    return template % values if values else template


class ServiceError(Exception):
    """Something can't be done; `template` is %-style, `values` fill it."""

    def __init__(self, template, /, **values):
        super().__init__(template, values)
        self.template = template
        self.values = values

    def __str__(self):
        return say(self.template, self.values)


class ConfigurationError(ServiceError):
    """It can't work like this whatever happens: a person must change something."""


class UnsupportedOperator(ConfigurationError):
    """A condition names an operator that doesn't exist; `operator` is its name."""

    @property
    def operator(self):
        return self.values["operator"]


class EgressRefused(ServiceError):
    """The address isn't one that requests may go to."""


class PayloadError(ServiceError):
    """A value that JSON can't hold; `values["path"]` says where it stands."""
