# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What building the requests of some deliveries needs, read in a few queries."""

import json
from collections import defaultdict

from odoo import SUPERUSER_ID
from odoo.tools import SQL

from ..services.errors import ServiceError
from ..services.template import may_name_fields
from .build_scope import BuildScope
from .const import CONTEXT_LINE, DELIVERY, ENDPOINT, EXTERNAL_REF, RECORD_KINDS
from .value_format import FORMAT_FIELDS

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


def read_scopes(deliveries, snapshot):
    """Delivery id -> `BuildScope`, whose `delivery` is in the build's environment.

    The number of queries doesn't depend on the number of deliveries, and later steps
    make none per delivery.
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
    files, payload_files = _read_files(deliveries)
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
    """Files by delivery id, from attachments with a form field.

    The form field is the attachment's description, so that files added in the chatter
    aren't sent. The order is that of the request.
    :return: delivery id -> form field -> file or list of files, and delivery id ->
        pairs of payload path and file; an error instead of a file that can't be read
    """
    attachments = deliveries.env["ir.attachment"].search_fetch(
        [
            ("res_model", "=", DELIVERY),
            ("res_id", "in", deliveries.ids),
            ("description", "!=", False),
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
