# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The values of one delivery that sources read."""

import json

from ..services.errors import ConfigurationError, _lt
from .field_value import read_field


class BuildScope:
    """The values that the sources of one delivery read.

    delivery, endpoint, company: records, superuser, the endpoint's company and language
    lines: (key, kind, expression, literal, reader, id) of the active context lines;
        the id only of those with a format
    files: form field -> file, or a list of them
    payload_files: pairs of path and file, sent as base64 in the payload
    context_values: key -> value; None before the lines were read
    request_data: the request built so far, as `OutboundRequest.to_dict()` returns it
    empty: value of an empty field, None or False
    escape: how to escape values in a raw body, see `escaping.escaper`
    makes_body: a template or CSV makes the body of the payload
    reference: id of the record at the receiver and the data stored with it, or None
    sent: `SentRequest` whose body a retry repeats, or None
    comparison: `Comparison` with earlier requests, None if they are not compared
    """

    __slots__ = (
        "delivery",
        "endpoint",
        "company",
        "lines",
        "files",
        "payload_files",
        "context_values",
        "request_data",
        "empty",
        "escape",
        "makes_body",
        "reference",
        "sent",
        "comparison",
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
        self.payload_files = ()
        self.context_values = None
        self.request_data = {}
        self.escape = None
        self.makes_body = False
        self.reference = None
        self.sent = None
        self.comparison = None
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
        if not self.record and (kept := self.kept_values()):
            partner = self.company.partner_id.browse(kept["partner"] or ())
            return partner.exists()
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

    def kept_values(self):
        """What was kept of the record when a server action ran on its deletion.

        One query for all deliveries of the batch, and only if a record is missing.
        :return: a dict with `partner` and `values`, empty if nothing was kept
        """
        if not self.delivery.res_id:
            return {}
        stored = self.delivery.sudo().record_values_json
        return json.loads(stored).get("deleted", {}) if stored else {}

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
