# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Result helpers of gates, callbacks and backends; inputs of a batch."""

from collections import defaultdict

from odoo import SUPERUSER_ID, api, models

from ..exceptions import WebhookProcessingConfigurationError
from ..services import result_types
from ..services.errors import ServiceError
from ..services.jsonable import to_json_value
from .const import CONTEXT_LINE, DELIVERY, ENDPOINT, HANDLER
from .endpoint_snapshot import RECORD_KINDS, compile_or_refuse
from .path_reader import reader_env
from .value_source import BuildScope, compile_source


class BwtWebhookOutboundResultHelpers(models.AbstractModel):
    """Result dicts of a decision; part of the delivery and of connector backends."""

    _name = "bwt.webhook.outbound.result.helpers"
    _description = "Outbound Webhook Result Helpers"

    @api.private
    def webhook_done(self, note=None):
        """Result: done, nothing is sent."""
        return result_types.webhook_done(note)

    @api.private
    def webhook_dead_letter(self, note=None):
        """Result: failed permanently, nothing is sent."""
        return result_types.webhook_dead_letter(note)

    @api.private
    def webhook_retry(self, note=None, seconds=60):
        """Result: retry in `seconds`; counts as a retry."""
        return result_types.webhook_retry(note, seconds)

    @api.private
    def webhook_cancel(self, note=None):
        """Result: canceled, nothing is sent."""
        return result_types.webhook_cancel(note)

    def _build_outbound_delivery_result(self, outcome="send", note=None, **changes):
        """A result dict: status, note and request keys (headers, payload, ...)."""
        result = {"status": outcome, **changes}
        if note:
            result["note"] = note
        return result


_READ = (
    "endpoint_id",
    "company_id",
    "name",
    "message_uid",
    "request_headers_json",
    "payload_json",
    "res_model",
    "res_id",
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


class BwtWebhookOutboundDeliveryInput(models.AbstractModel):
    """Reads deliveries, lines, files and records of a batch, and sources from them."""

    _name = "bwt.webhook.outbound.delivery.input"
    _description = "Outbound Webhook Delivery: Input"
    _inherit = "bwt.webhook.outbound.result.helpers"

    def _prefetch_for_build(self, snapshot):
        """Read everything that building these deliveries needs, in a few queries.

        The number of queries doesn't depend on the number of deliveries, and later
        steps make none per delivery.
        :return: the deliveries in the environment in which they are resolved
        """
        deliveries = self._in_outbound_env(snapshot)
        deliveries.fetch(_READ)
        lines = defaultdict(list)
        kinds = set()
        for delivery_id, *line in deliveries.env[CONTEXT_LINE]._rows_of(self.ids):
            lines[delivery_id].append(line)
            kinds.add(line[1])
        files = deliveries._read_files()
        endpoint = self._endpoint_of(snapshot, deliveries.env)
        company = deliveries.env["res.company"].browse(snapshot.company_id)
        for delivery in deliveries:
            scope = BuildScope(delivery, endpoint, company, snapshot.empty)
            scope.lines = lines.get(delivery.id, ())
            scope.files = files.get(delivery.id) or {}
            snapshot.inputs[delivery.id] = scope
        if snapshot.needs_records or kinds & RECORD_KINDS:
            deliveries._read_records(snapshot)
        return deliveries

    def _read_files(self):
        """Files by delivery id: form field -> file, from attachments with a form field.

        The form field is the attachment's description, so that files added in the
        chatter aren't sent. The order is that of the request.
        """
        attachments = self.env["ir.attachment"].search_fetch(
            [
                ("res_model", "=", DELIVERY),
                ("res_id", "in", self.ids),
                ("description", "!=", False),
            ],
            _FILE_COLUMNS,
            order="id",
        )
        files = defaultdict(dict)
        for attachment in attachments:
            try:
                file = attachment._bwt_webhook_file()
            except ServiceError as error:
                file = error  # concerns one delivery: the others of the batch are sent
            files[attachment.res_id][attachment.description] = file
        return files

    def _files_to_send(self, scope):
        """The files of this delivery; raises the error of one that can't be read."""
        for file in scope.files.values():
            if isinstance(file, ServiceError):
                raise self._outbound_fault(file) from file
        return scope.files

    def _read_records(self, snapshot):
        """Find the records that these deliveries are about, one query per model."""
        by_model = defaultdict(dict)
        for delivery in self:
            if delivery.res_model and delivery.res_id:
                by_model[delivery.res_model][delivery.id] = delivery.res_id
        for model_name, ids in by_model.items():
            if model_name not in self.env:
                continue
            # One prefetch group: a field read from one record is read for all.
            found = self.env[model_name].browse(set(ids.values())).exists()
            records = {record.id: record for record in found}
            for delivery_id, record_id in ids.items():
                snapshot.inputs[delivery_id].record = records.get(
                    record_id, found.browse()
                )

    def _outbound_self(self):
        """This delivery in the environment in which it is built, and its snapshot."""
        self.ensure_one()
        snapshot = self.env.context.get("outbound_snapshot")
        if snapshot is None or snapshot.endpoint_id != self.endpoint_id.id:
            snapshot = self.endpoint_id._outbound_snapshot()
        elif self.env.context.get("outbound_resolved"):
            return self, snapshot
        scope = self._known_scope(snapshot)
        if scope is not None:
            return scope.delivery, snapshot
        return self._in_outbound_env(snapshot), snapshot

    def _in_outbound_env(self, snapshot):
        """These deliveries as superuser, in the snapshot's company and language."""
        context = dict(
            snapshot.context, outbound_snapshot=snapshot, outbound_resolved=True
        )
        return self.with_env(self.env(user=SUPERUSER_ID, su=True, context=context))

    def _outbound_scope(self, snapshot):
        """The `BuildScope` from which the sources of this delivery are read."""
        scope = self._known_scope(snapshot)
        if scope is None:
            self._prefetch_for_build(snapshot)
            scope = snapshot.inputs[self.id]
        return scope

    def _known_scope(self, snapshot):
        """What was prefetched for this delivery on this cursor, else None."""
        scope = snapshot.inputs.get(self.id)
        # A hook may run on another cursor than the build.
        return scope if scope and scope.delivery.env.cr is self.env.cr else None

    def _endpoint_of(self, snapshot, env=None):
        return (env or self.env)[ENDPOINT].browse(snapshot.endpoint_id)

    def _handler_of(self, snapshot):
        return self.env[HANDLER].browse(snapshot.handler.id)

    def _outbound_backend(self, snapshot, *, archived=False):
        """The connector backend of the endpoint, None without one.

        :param archived: True returns an archived one too
        :raise ValidationError: the backend is archived or deleted
        """
        if snapshot.backend is None:
            return None
        if snapshot.backend_fault and not (archived and snapshot.is_backend_archived):
            raise WebhookProcessingConfigurationError(snapshot.backend_fault)
        model_name, record_id = snapshot.backend
        return self.env[model_name].browse(record_id)

    def _get_context_values(self):
        """Values of the active context lines: key -> value, later ones see earlier."""
        self, snapshot = self._outbound_self()
        scope = self._outbound_scope(snapshot)
        # Set before it is filled: a line may use earlier ones.
        values = scope.context_values = {}
        for key, kind, expression, literal, reader in scope.lines:
            try:
                if kind == "literal":
                    read = compile_source(self.env, kind, expression, literal)
                else:
                    read = self._line_source(snapshot, kind, expression, reader)
                values[key] = to_json_value(read(scope), key)
            except ServiceError as error:
                error.where = self.env._('context line "%s"', key)
                raise self._outbound_fault(error) from error
        return values

    def _may_be_named(self, record):
        """True when each user who wrote a context line here may read the record."""
        self, snapshot = self._outbound_self()
        readers = {line[-1] for line in self._outbound_scope(snapshot).lines} - {None}
        return all(
            record.with_env(reader_env(record.env, reader)).has_access("read")
            for reader in readers
        )

    def _line_source(self, snapshot, kind, expression, reader):
        sources = snapshot.line_sources
        key = (kind, expression, reader)
        if key not in sources:
            sources[key] = compile_or_refuse(
                self.env, kind, expression, None, reader=reader
            )
        return sources[key]

    def _resolve_source_value(
        self, kind, expression, literal, *, context_values=None, request_data=None
    ):
        """The value of a source for this delivery.

        :param context_values: key -> value; by default those of the context lines
        :param request_data: request as returned by `OutboundRequest.to_dict()`
        :return: a plain value; False or None without one
        """
        self, snapshot = self._outbound_self()
        scope = self._outbound_scope(snapshot)
        if context_values is None:
            context_values = self._get_context_values()
        scope.context_values = context_values
        scope.request_data = request_data or {}
        try:
            return compile_source(self.env, kind, expression, literal)(scope)
        except ServiceError as error:
            raise self._outbound_fault(error) from error
