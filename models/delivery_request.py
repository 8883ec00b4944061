# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the delivery: build, decide and encode its request.

The lane calls `_read_scopes` once per batch and `_prepare_outbound` once per delivery;
connectors override the hooks below it.
"""

import base64
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from odoo import api, models
from odoo.exceptions import UserError

from ..exceptions import WebhookProcessingConfigurationError
from ..lane.attempt_result import Decided, Prepared, Refused
from ..lane.batch import HandlerFailed, describe
from ..lane.savepoint import FOREIGN_ERRORS
from ..services import result_types
from ..services.errors import ServiceError
from ..services.formats import OMITTED
from ..services.headers import header_text_of, merge_headers, set_header
from ..services.http.encoding import encode
from ..services.jsonable import to_json_value
from ..services.outcome import HandlerOutcome
from ..services.paths import write_path
from ..services.request import OutboundRequest
from ..services.template import EXTERNAL, EXTERNAL_ID, ORIGIN, may_name_fields
from ..services.transport import build_transport_kwargs
from .answer_store import store_values
from .build_scope import in_build_env, outbound_build, read_scopes
from .const import CONTEXT_LINE, ENDPOINT, HANDLER
from .endpoint_snapshot import compile_or_refuse, snapshot_of
from .errors import misconfigured
from .path_reader import reader_env
from .rule_engine import (
    apply_header_rules,
    apply_payload_rules,
    refuse_another_host,
    run_rules,
)
from .value_format import Finish
from .value_source import compile_source, read_literal


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


class BwtWebhookOutboundDeliveryRequest(models.AbstractModel):
    """Build, gate, handler, extra headers: what connectors override."""

    _name = "bwt.webhook.outbound.delivery.request"
    _description = "Outbound Webhook Delivery: Request"
    _inherit = "bwt.webhook.outbound.result.helpers"

    # Prepare

    def _read_scopes(self, snapshot, with_files=None):
        """What building these deliveries needs, as delivery id -> `BuildScope`.

        :param with_files: ids of those that have files to send; None: not known
        """
        return read_scopes(self, snapshot, with_files)

    def _in_build_env(self, snapshot):
        """These deliveries in the environment in which their hooks are called."""
        return in_build_env(self, snapshot)

    def _prepare_outbound(self, snapshot, scope, claimed, savepoint):
        """Build the request, decide on it and encode it: all that the lane calls.

        The hooks below take neither snapshot nor scope: the context carries them.

        :param scope: of this delivery, from `_read_scopes`
        :param claimed: the row, part of the result
        :param savepoint: checked after each step that runs code of other addons
        :return: `Prepared`, `Decided`, `Postponed` or `Refused`
        :raise HandlerFailed: gate, handler or hook raised, or left a failed transaction
        """
        with outbound_build(self.env).of(snapshot, scope):
            try:
                repeated = self._request_as_sent(snapshot, scope)
                request = built = repeated or self._build_outbound_request()
            except (ServiceError, UserError) as error:
                return Refused(claimed, "build", describe(self.env, error))
            savepoint.check()
            decide = self._pass_gates if repeated else self._invoke_handler
            outcome = self._decide(decide, request, savepoint)
            request = outcome.request
            if outcome.status != "send":
                return Decided(claimed, request, outcome)
            try:
                if snapshot.body is not None and not repeated:
                    request = self._with_body(snapshot, scope, request, built)
                    outcome = replace(outcome, request=request)
                if scope.sent is not None and not repeated:
                    request = self._with_sent_body(snapshot, scope, request)
                    outcome = replace(outcome, request=request)
                encoded = self._encode_request(request)
            except (ServiceError, UserError) as error:
                return Refused(claimed, "build", describe(self.env, error), request)
            about = (self.res_model or None, self.res_id or None)
            is_known = scope.reference is not None
            prepared = Prepared(
                claimed, request, outcome, encoded, about=about, is_known=is_known
            )
            if scope.comparison is None:
                return prepared
            return scope.comparison.decide(prepared, scope.delivery)

    def _decide(self, decide, request, savepoint):
        try:
            outcome = decide(request)
            savepoint.check()
            return outcome
        except FOREIGN_ERRORS as error:
            if self.env.cr.closed:
                raise
            cause = savepoint.cause_of(error)
            raise HandlerFailed(request, cause) from cause

    # Build

    def _build_outbound_request(self):
        """The request as queued, with the endpoint's rules applied.

        Context values, then payload, headers and URL; nothing is decided yet. For an
        archived backend, whose gate decides first, it is the request as queued: it
        isn't sent, and an error of the build must not precede the gate.
        :return: `OutboundRequest`
        :raise ValidationError: a value is missing or a rule is invalid
        """
        snapshot, scope = self._outbound_scope()
        delivery = scope.delivery
        if snapshot.is_backend_archived:
            return delivery._request_as_queued(snapshot, scope)
        delivery._outbound_backend(snapshot)  # a deleted one raises here
        delivery._check_has_subject(snapshot)
        context_values = delivery._with_origin(delivery._get_context_values())
        scope.context_values = context_values
        is_update = snapshot.update and scope.reference
        data = scope.request_data = {
            "target_url": scope.endpoint._render_outbound_target_url(
                context_values, delivery=delivery
            ),
            "http_method": snapshot.update[0] if is_update else snapshot.http_method,
            "request_body_mode": snapshot.body_mode,
            "headers": delivery._stored_json("request_headers_json", dict),
            "payload": delivery._stored_json("payload_json", None),
            "files": delivery._files_to_send(scope),
        }
        long_texts = ()
        if scope.payload_files:
            data["payload"], long_texts = delivery._with_payload_files(
                data["payload"], scope
            )
        try:
            apply_payload_rules(snapshot, scope, data)
            apply_header_rules(snapshot, scope, data)
            request = OutboundRequest(**data, long_texts=long_texts)
            request.assert_valid()
        except ServiceError as error:
            raise delivery._outbound_fault(error) from error
        return request

    def _check_has_subject(self, snapshot):
        """Refuse a delivery about no record, if records are created or updated."""
        if snapshot.update and not self.res_id:
            raise misconfigured(
                self.env[ENDPOINT].browse(self.endpoint_id.id),
                self.env._(
                    "it creates or updates a record, but the delivery is about none. "
                    "Choose About the Record in Send Test, give record= when queueing, "
                    "or turn off Create or Update."
                ),
            )

    def _request_as_queued(self, snapshot, scope):
        """Payload and headers as given to queueing, and the URL with its {tokens}."""
        return OutboundRequest(
            target_url=scope.endpoint.target_url or "",
            http_method=snapshot.http_method,
            request_body_mode=snapshot.body_mode,
            headers=self._stored_json("request_headers_json", dict),
            payload=self._stored_json("payload_json", None),
            files=scope.files,
        )

    def _request_as_sent(self, snapshot, scope):
        """The last request again, for a retry whose record was deleted since.

        :return: `OutboundRequest`; None if it has to be built
        """
        sent = scope.sent
        if sent is None or not scope.is_record_deleted or scope.kept_values():
            return None
        is_update = snapshot.update and scope.reference
        if is_update and sent.http_method != snapshot.update[0]:
            return None
        delivery = scope.delivery
        data = {"headers": delivery._stored_json("request_headers_json", dict)}
        payload, long_texts = delivery._with_payload_files(
            delivery._stored_json("payload_json", None), scope
        )
        url = ""
        with suppress(ServiceError, UserError):  # needs the record
            url = scope.endpoint._render_outbound_target_url(
                delivery._get_context_values(), delivery=delivery
            )
        apply_header_rules(snapshot, scope, data, lenient=True)
        known = OutboundRequest(
            target_url=url,
            http_method=sent.http_method,
            request_body_mode=sent.body_mode,
            payload=payload,
            files=delivery._files_to_send(scope),
            long_texts=long_texts,
            **data,
        )
        return sent.as_sent(known, snapshot, self.env.cr)

    def _files_to_send(self, scope):
        """The files of this delivery; raises the error of one that can't be read."""
        for file in scope.files.values():
            if isinstance(file, ServiceError):
                raise self._outbound_fault(file) from file
        return scope.files

    def _with_payload_files(self, payload, scope):
        """The payload with its files as base64, and these texts."""
        texts = []
        try:
            for path, file in scope.payload_files:
                if isinstance(file, ServiceError):
                    raise file
                texts.append(base64.b64encode(file["content"]).decode("ascii"))
                payload = write_path(payload, path, texts[-1])
        except ServiceError as error:
            raise self._outbound_fault(error) from error
        return payload, tuple(texts)

    def _stored_json(self, name, kind):
        """The JSON value in a text field of this delivery."""
        text = self[name] or "{}"
        if text == "{}":
            return {}
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise misconfigured(
                self,
                self.env._(
                    "%(field)s is not valid JSON: %(error)s. Reset it to draft and "
                    "correct the text.",
                    field=self._fields[name]._description_string(self.env),
                    error=error,
                ),
            ) from error
        if kind is dict:
            try:
                return {key: header_text_of(each, key) for key, each in value.items()}
            except ServiceError as error:
                raise self._outbound_fault(error) from error
        return {} if value is None or value is False else value

    # Decide

    def _invoke_handler(self, request):
        """Decide on the request: gate, handler or backend, extra headers.

        :param request: `OutboundRequest` from `_build_outbound_request`
        :return: `HandlerOutcome`; its request is the one to send
        """
        snapshot, scope = self._outbound_scope()
        delivery = scope.delivery
        backend = delivery._outbound_backend(snapshot, archived=True)
        for raw in delivery._gate_results(backend):
            if raw is not None:
                outcome = delivery._resolve_handler_outcome(raw, request)
                if outcome.status != "send":
                    return outcome
                request = outcome.request
        delivery._outbound_backend(snapshot)  # an archived one raises here
        raw = None
        if snapshot.handler is not None:
            raw = delivery._run_handler(snapshot, request)
        elif backend:
            raw = backend._dispatch_outbound_webhook_delivery(delivery, request)
        outcome = delivery._resolve_handler_outcome(raw, request)
        if outcome.status != "send":
            return outcome
        return delivery._with_extra_headers(outcome, backend)

    def _pass_gates(self, request):
        """Like `_invoke_handler`, for a request that a handler has decided on before.

        A gate may end it; what gates and handler changed is in the request already.
        """
        snapshot, scope = self._outbound_scope()
        delivery = scope.delivery
        backend = delivery._outbound_backend(snapshot, archived=True)
        for raw in delivery._gate_results(backend):
            if raw is not None:
                outcome = delivery._resolve_handler_outcome(raw, request)
                if outcome.status != "send":
                    return outcome
        delivery._outbound_backend(snapshot)  # an archived one raises here
        return HandlerOutcome("send", request)

    def _gate_results(self, backend):
        yield self._pre_dispatch_check()
        if backend:
            yield backend._check_outbound_dispatch_allowed(self)

    def _run_handler(self, snapshot, request):
        handler = self.env[HANDLER].browse(snapshot.handler.id)
        if not snapshot.handler.active:
            raise misconfigured(
                handler,
                self.env._(
                    "it is archived and can't run. Restore it, or remove it from "
                    "the endpoint."
                ),
            )
        return handler.execute_outbound(self, request)

    def _execute_model_driven_handler(self, handler, request_data=None):
        """What the rules of a handler decide, as a result dict.

        :param request_data: the request so far, an `OutboundRequest` or its `to_dict()`
        :return: dict with `status`, the request keys that changed, `note`, `seconds`
            and `matched_rule_id`; only the status `send` if no rule matches
        """
        snapshot, scope = self._outbound_scope()
        delivery = scope.delivery
        compiled = snapshot.handler
        if compiled is None or compiled.id != handler.id:
            compiled = handler._compiled()
        if request_data is None:
            request_data = delivery._build_outbound_request()
        if scope.context_values is None:
            values = delivery._get_context_values()
            scope.context_values = delivery._with_origin(values)
        request_data = as_request_data(request_data)
        try:
            rule, result = run_rules(compiled.rules, scope, request_data)
            refuse_another_host(rule, result, request_data, snapshot)
        except ServiceError as error:
            raise delivery._outbound_fault(error) from error
        if result["status"] != "send" and "note" not in result:
            result["note"] = self.env._(
                'Rule "%(rule)s" of handler "%(handler)s".',
                rule=rule.name,
                handler=compiled.name,
            )
        return result

    def _with_extra_headers(self, outcome, backend):
        """Set headers of `_collect_extra_headers`, then those of the backend."""
        headers = given = outcome.request.raw("headers")
        extra = self._collect_extra_headers()
        if extra:
            headers = merge_headers(headers, extra)
        if backend:
            extra = backend._get_outbound_extra_headers(self)
            if extra:
                headers = merge_headers(headers, extra)
        if headers is given:
            return outcome
        return replace(outcome, request=outcome.request.replaced(headers=headers))

    def _resolve_handler_outcome(self, raw, request):
        """What a handler, gate or backend returned, as a checked `HandlerOutcome`.

        :param raw: None or True to send, False to cancel, or a result dict
        :raise ValidationError: it is invalid; the message quotes it
        """
        try:
            outcome = HandlerOutcome.from_raw(raw, request)
            if outcome.request is not request:
                outcome.request.assert_valid()
        except ServiceError as error:
            raise self._outbound_fault(error) from error
        return outcome

    # Encode

    def _with_body(self, snapshot, scope, request, built):
        """The request with the body that template or CSV make of its payload.

        :param built: the request before the handler
        """
        try:
            return snapshot.body.apply(request, scope, built)
        except ServiceError as error:
            error.where = (
                self.env._("CSV body")
                if request.request_body_mode == "csv"
                else self.env._("body template")
            )
            raise scope.delivery._outbound_fault(error) from error

    def _with_sent_body(self, snapshot, scope, request):
        """The request with the body of the attempt before, if this one repeats it."""
        try:
            return scope.sent.repeated(request, snapshot, self.env.cr)
        except ServiceError as error:
            raise scope.delivery._outbound_fault(error) from error

    def _encode_request(self, request):
        """The bytes that are sent: message id, body and headers, then credential and
        signature.

        :return: `EncodedRequest`
        """
        snapshot, scope = self._outbound_scope()
        message_uid = scope.delivery.message_uid
        headers = dict(request.raw("headers"))
        set_header(headers, "webhook-id", message_uid)
        extras = snapshot.extras
        try:
            if extras is not None:
                extras.add_headers(headers, message_uid)
            kwargs = build_transport_kwargs(request.replaced(headers=headers))
            encoded = encode(kwargs)
            if snapshot.answer is not None and snapshot.answer.body_limit:
                encoded = encoded._replace(response_limit=snapshot.answer.body_limit)
            # Signed before it is compressed: see docs/decisions.md.
            encoded = snapshot.trust.apply(encoded, message_uid, time.time())
            return encoded if extras is None else extras.compress(encoded)
        except ServiceError as error:
            raise scope.delivery._outbound_fault(error) from error

    # Values

    def _outbound_scope(self):
        """Snapshot of the endpoint and `BuildScope` of this delivery, for the hooks.

        From the context while the lane prepares this delivery, else read now: a hook
        may also be called directly, on another cursor, or for another delivery.
        """
        self.ensure_one()
        build = outbound_build(self.env)
        if build is not None and build.is_of(self):
            return build.snapshot, build.scope
        snapshot = self._snapshot_in_use()
        scope = self._read_scopes(snapshot)[self.id]
        outbound_build(scope.delivery.env).scope = scope
        return snapshot, scope

    def _snapshot_in_use(self):
        """The snapshot with which this delivery is prepared, else a new one."""
        build = outbound_build(self.env)
        if build is None or build.snapshot.endpoint_id != self.endpoint_id.id:
            return snapshot_of(self.endpoint_id)
        return build.snapshot

    def _get_context_values(self):
        """Values of the active context lines: key -> value, later ones see earlier."""
        snapshot, scope = self._outbound_scope()
        delivery = scope.delivery
        # `seen` is set before it is filled: a line may use earlier ones.
        values = {}
        if scope.reference:
            values[EXTERNAL_ID], values[EXTERNAL] = scope.reference
        scope.context_values = seen = delivery._with_origin(values)
        for key, kind, expression, literal, reader, line_id in scope.lines:
            try:
                if kind == "literal" and not line_id and not may_name_fields(literal):
                    value = read_literal(delivery.env, literal, reader, scope)
                else:
                    read = delivery._line_source(
                        snapshot, kind, expression, literal, reader, line_id
                    )
                    value = read(scope)
                if value is not OMITTED:
                    values[key] = seen[key] = to_json_value(value, key)
            except ServiceError as error:
                error.where = self.env._('context line "%s"', key)
                raise delivery._outbound_fault(error) from error
        return values

    def _with_origin(self, values):
        """Context values and the origin of this delivery, which they take precedence
        over. Not part of `_get_context_values`, which returns what was queued.
        """
        return {ORIGIN: self.origin or "live", **values}

    def _line_source(self, snapshot, kind, expression, literal, reader, line_id):
        """The source of a context line, compiled once for the batch."""
        sources = snapshot.line_sources
        finish = line_id and Finish.of(self.env[CONTEXT_LINE].browse(line_id))
        key = (kind, expression, literal, reader, finish)
        if key not in sources:
            sources[key] = compile_or_refuse(
                self.env, kind, expression, literal, reader=reader, finish=finish
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
        _snapshot, scope = self._outbound_scope()
        delivery = scope.delivery
        if context_values is None:
            context_values = delivery._get_context_values()
        scope.context_values = delivery._with_origin(context_values)
        scope.request_data = request_data or {}
        try:
            return compile_source(delivery.env, kind, expression, literal)(scope)
        except ServiceError as error:
            raise delivery._outbound_fault(error) from error

    def _may_be_named(self, record):
        """True when each user who wrote a context line here may read the record."""
        _snapshot, scope = self._outbound_scope()
        readers = {line[4] for line in scope.lines} - {None}
        return all(
            record.with_env(reader_env(record.env, reader)).has_access("read")
            for reader in readers
        )

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

    # Hooks

    def _pre_dispatch_check(self):
        """Hook before the handler: None allows the request, a result dict decides."""
        return None

    def _collect_extra_headers(self):
        """Hook: headers set over those of rules and handler."""
        return {}

    def _handle_outbound_response(self, response, state, outcome):
        """Hook after the result is committed; by default calls the backend's hook.

        :param response: has `status_code`, `headers` (mapping) and `text`
        :param state: done, error or dead_letter
        :param outcome: the `HandlerOutcome` that allowed the request
        """
        if not self._snapshot_in_use().has_backend:
            return
        snapshot, scope = self._outbound_scope()
        delivery = scope.delivery
        # Archived since it was sent: the backend still gets the response.
        backend = delivery._outbound_backend(snapshot, archived=True)
        operation = delivery._get_context_values().get("operation") or False
        backend._handle_outbound_webhook_response(
            delivery,
            response,
            state,
            outcome,
            binding=backend.resolve_outbound_delivery_binding(delivery),
            operation=operation,
        )

    def _store_response_values(self, taken):
        """Store what was taken from a response: fields of the record, its reference.

        :param taken: `StoredValues`
        :return: texts on what could not be stored
        """
        return store_values(self, taken)

    @api.model
    def _has_response_hook(self):
        """Whether another addon extends `_handle_outbound_response`."""
        own = BwtWebhookOutboundDeliveryRequest._handle_outbound_response
        return type(self)._handle_outbound_response is not own

    def _outbound_fault(self, error):
        """A service's error as one that names the endpoint, and the rule if known."""
        return misconfigured(self.env[ENDPOINT].browse(self.endpoint_id.id), error)


def as_request_data(request):
    """A request as a dict for sources; shares its payload and headers."""
    if isinstance(request, Mapping):
        return dict(request)
    return {
        "target_url": request.target_url,
        "http_method": request.http_method,
        "request_body_mode": request.request_body_mode,
        "headers": request.raw("headers"),
        "payload": request.raw("payload"),
        "files": request.raw("files"),
    }
