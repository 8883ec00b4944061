# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What building the requests of some deliveries needs, read in a few queries.

`BuildScope` has the values that the sources of one delivery read.
"""

import json
from collections import defaultdict

from odoo import SUPERUSER_ID
from odoo.tools import SQL

from ..services.errors import ConfigurationError, ServiceError, _lt
from ..services.template import may_name_fields
from .const import CONTEXT_LINE, DELIVERY, ENDPOINT, EXTERNAL_REF, RECORD_KINDS
from .field_value import read_field
from .value_format import FORMAT_FIELDS


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
    def is_record_deleted(self):
        """Whether what is built reads the record, which doesn't exist any more."""
        return self._record is not None and self._has_record() and not self._record

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
                    "deleted before the request was built, so it was not sent. Cancel "
                    "the delivery, or choose another source for the value and press "
                    "Retry Now; payload rules of a server action read the record "
                    "when the delivery is queued."
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


_BUILD = "outbound_build"  # the only context key of ours while a request is built
_READ = (
    "endpoint_id",
    "company_id",
    "name",
    "message_uid",
    "request_headers_json",
    "payload_json",
    "res_model",
    "res_id",
    "origin",
    "skip_if_unchanged",
)
_FILE_COLUMNS = (
    "name",
    "description",
    "mimetype",
    "res_id",
    "file_size",
    "store_fname",
    "db_datas",
    "bwt_webhook_part",
)


class OutboundBuild:
    """Carries snapshot and scope to the hooks of connectors, which take neither.

    One per batch, in the context of its deliveries: an environment for each delivery
    would cost more than building its request.

    snapshot: `EndpointSnapshot`
    scope: `BuildScope` of the delivery that is prepared at present, or None
    """

    __slots__ = ("snapshot", "scope")

    def __init__(self, snapshot):
        self.snapshot = snapshot
        self.scope = None

    def is_of(self, delivery):
        """Whether the scope is that of `delivery`, on its cursor."""
        own = self.scope and self.scope.delivery
        return own is delivery or (
            bool(own) and own.id == delivery.id and own.env.cr is delivery.env.cr
        )

    def of(self, snapshot, scope):
        """Carry these while it is entered."""
        self.snapshot, self.scope = snapshot, scope
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.scope = None  # its files may be large


def outbound_build(env):
    """The `OutboundBuild` of this environment; None where no request is built."""
    return env.context.get(_BUILD)


def in_build_env(deliveries, snapshot):
    """These deliveries as superuser, in the snapshot's company and language.

    Their context carries an `OutboundBuild`, and nothing of the caller's.
    """
    build = outbound_build(deliveries.env)
    if build is not None and build.snapshot is snapshot and deliveries.env.su:
        return deliveries
    context = dict(snapshot.context, **{_BUILD: OutboundBuild(snapshot)})
    env = deliveries.env(user=SUPERUSER_ID, su=True, context=context)
    return deliveries.with_env(env)


def without_build(env):
    """This environment without what it carries to the hooks of a build."""
    context = {key: value for key, value in env.context.items() if key != _BUILD}
    return env(context=context)


def read_scopes(deliveries, snapshot, with_files=None):
    """Delivery id -> `BuildScope`, whose `delivery` is in the build's environment.

    The number of queries doesn't depend on the number of deliveries, and later steps
    make none per delivery.

    :param with_files: ids of those that have files to send; None: not known
    """
    deliveries = in_build_env(deliveries, snapshot)
    env = deliveries.env
    deliveries.fetch(_READ)
    lines = defaultdict(list)
    needs_records = snapshot.needs_records
    formatted = []
    for delivery_id, *line in env[CONTEXT_LINE]._rows_of(deliveries.ids):
        lines[delivery_id].append(line)
        _key, kind, _expression, literal, _reader, line_id = line
        if kind in RECORD_KINDS or kind == "literal" and may_name_fields(literal):
            needs_records = True
        if line_id:
            formatted.append(line_id)
    if formatted:
        env[CONTEXT_LINE].browse(formatted).fetch(FORMAT_FIELDS)
    having = deliveries if with_files is None else deliveries.browse(with_files)
    files, payload_files = _read_files(having)
    endpoint = env[ENDPOINT].browse(snapshot.endpoint_id)
    company = env["res.company"].browse(snapshot.company_id)
    scopes = {}
    for delivery in deliveries:
        scope = scopes[delivery.id] = BuildScope(
            delivery, endpoint, company, snapshot.empty
        )
        scope.lines = lines.get(delivery.id, ())
        scope.makes_body = snapshot.body is not None
        scope.files = files.get(delivery.id) or {}
        scope.payload_files = payload_files.get(delivery.id, ())
    if needs_records:
        _read_records(deliveries, scopes)
    if snapshot.reference_scope:
        _read_references(deliveries, scopes, snapshot.reference_scope)
    return scopes


def _read_files(deliveries):
    """Files by delivery id, from the attachments that are to be sent.

    The form field is the attachment's description. The order is that of the request.
    :return: delivery id -> form field -> file or list of files, and delivery id ->
        pairs of payload path and file; an error instead of a file that can't be read
    """
    if not deliveries:
        return {}, {}
    attachments = deliveries.env["ir.attachment"].search_fetch(
        [
            ("res_model", "=", DELIVERY),
            ("res_id", "in", deliveries.ids),
            ("bwt_webhook_part", "!=", False),  # files of messages have none
        ],
        _FILE_COLUMNS,
        order="id",
    )
    files, in_payload = defaultdict(dict), defaultdict(list)
    for attachment in attachments:
        field = attachment.description
        try:
            file = attachment._bwt_webhook_file()
        except ServiceError as error:
            file = error  # concerns one delivery: the others of the batch are sent
        if attachment._bwt_webhook_in_payload():
            in_payload[attachment.res_id].append((field, file))
        else:
            found = files[attachment.res_id]
            found[field] = _with(found[field], file) if field in found else file
    return files, in_payload


def _with(files, file):
    """Several files of one form field; an error if one of them is one."""
    for each in (files, file):
        if isinstance(each, ServiceError):
            return each
    return [*files, file] if isinstance(files, list) else [files, file]


def _read_records(deliveries, scopes):
    """Find the records that these deliveries are about, one query per model."""
    by_model = defaultdict(dict)
    for delivery in deliveries:
        if delivery.res_model and delivery.res_id:
            by_model[delivery.res_model][delivery.id] = delivery.res_id
    for model_name, ids in by_model.items():
        if model_name not in deliveries.env:
            continue
        # One prefetch group: a field read from one record is read for all.
        found = deliveries.env[model_name].browse(set(ids.values())).exists()
        records = {record.id: record for record in found}
        for delivery_id, record_id in ids.items():
            scopes[delivery_id].record = records.get(record_id, found.browse())


def _read_references(deliveries, scopes, scope_name):
    """Find the external references of the records, by one query."""
    env = deliveries.env
    ids = [each.res_id for each in deliveries if each.res_id]
    if not ids:
        return
    rows = env.execute_query(
        SQL(
            """SELECT res_model, res_id, external_id, data
            FROM bwt_webhook_outbound_external_ref
            WHERE reference_scope = %s AND res_id = ANY(%s)""",
            scope_name,
            ids,
            to_flush=env[EXTERNAL_REF]._fields["external_id"],
        )
    )
    found = {
        (model_name, record_id): (external_id, json.loads(data or "{}"))
        for model_name, record_id, external_id, data in rows
    }
    for delivery in deliveries:
        about = (delivery.res_model, delivery.res_id)
        scopes[delivery.id].reference = found.get(about)
