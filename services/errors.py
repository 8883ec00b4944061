# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Messages and errors of services: an untranslated template and its values.

The caller, which knows the record and the language, translates them; a value that is a
message or an error itself is translated too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


def _lt(text):
    """Mark `text` for Odoo's translation export; returns it unchanged."""
    return text


@dataclass(frozen=True, slots=True)
class Message:
    """A text for users: `template` is %-style, `values` are its arguments."""

    template: str
    values: Mapping = field(default_factory=dict)

    def __str__(self):
        """The message in English."""
        return self.template % self.values if self.values else self.template


class ServiceError(Exception):
    """Base class: `template` is %-style, `values` are its arguments.

    where: the rule, line or part that it is about, in the user's language; set by who
    knows it
    """

    where = ""

    def __init__(self, template, /, **values):
        super().__init__(template, values)
        self.template = template
        self.values = values

    @property
    def message(self):
        """The `Message` of this error, without its place."""
        return Message(self.template, self.values)

    def __str__(self):
        return f"{self.where}: {self.message}" if self.where else str(self.message)


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
