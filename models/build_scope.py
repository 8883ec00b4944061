# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The values of one delivery that sources read."""

from ..services.errors import ConfigurationError, _lt
from .field_value import read_field


class BuildScope:
    """The values that the sources of one delivery read.

    delivery, endpoint, company: records, superuser, the endpoint's company and language
    lines: (key, kind, expression, literal, reader, id) of the active context lines;
        the id only of those with a format
    files: form field -> file
    context_values: key -> value; None before the lines were read
    request_data: the request built so far, as `OutboundRequest.to_dict()` returns it
    empty: value of an empty field, None or False
    escape: how to escape values in a raw body, see `escaping.escaper`
    """

    __slots__ = (
        "delivery",
        "endpoint",
        "company",
        "lines",
        "files",
        "context_values",
        "request_data",
        "empty",
        "escape",
        "_record",
        "_partner",
    )

    def __init__(self, delivery, endpoint, company, empty=None):
        self.delivery = delivery
        self.empty = empty
        self.endpoint = endpoint
        self.company = company
        self.lines = ()
        self.files = {}
        self.context_values = None
        self.request_data = {}
        self.escape = None
        self._record = None
        self._partner = None

    @property
    def record(self):
        """The record of the delivery; empty if deleted or not given."""
        if self._record is None:
            self._record = self._find_record()
        return self._record

    @record.setter
    def record(self, record):
        self._record = record

    def _find_record(self):
        model_name, record_id = self.delivery.res_model, self.delivery.res_id
        if not model_name or not record_id or model_name not in self.delivery.env:
            return self.delivery.browse()
        return self.delivery.env[model_name].browse(record_id).exists()

    @property
    def partner(self):
        """Partner of the record of the delivery, else of the company."""
        if self._partner is None:
            self._partner = self._find_partner()
        return self._partner

    def _find_partner(self):
        if not self._has_record():
            return self.company.partner_id
        record = self.need_record()
        if record._name == "res.partner":
            return record
        field = record._fields.get("partner_id")
        if field is not None and field.comodel_name == "res.partner":
            return read_field(record, "partner_id", "partner_id")
        return self.company.partner_id

    def _has_record(self):
        """Whether the delivery names a record, which may be deleted."""
        return bool(self.delivery.res_id)

    def need_record(self):
        """The record of the delivery; raises ConfigurationError without one."""
        if self.record:
            return self.record
        if self.delivery.res_id:
            raise ConfigurationError(
                _lt(
                    "the record that the delivery is about (%(model)s, %(id)s) was "
                    "deleted. Cancel the delivery, or choose another source for "
                    "the value."
                ),
                model=self.delivery.res_model,
                id=self.delivery.res_id,
            )
        raise ConfigurationError(
            _lt(
                "the delivery has no record, but a record field is requested. Give "
                "record= when queueing, or choose another source for the value."
            )
        )
