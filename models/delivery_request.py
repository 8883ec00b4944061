# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the delivery: build, decide and encode its request.

The lane calls `_prefetch_for_build` once per batch and then, per delivery,
`_build_outbound_request`, `_invoke_handler` and `_encode_request`; connectors override
these and the hooks below them.
"""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from odoo import models

from ..services.errors import ServiceError
from ..services.escaping import escaper
from ..services.headers import (
    content_type_of,
    header_text_of,
    merge_headers,
    set_header,
)
from ..services.http.encoding import encode
from ..services.jsonable import to_json_value
from ..services.outcome import HandlerOutcome
from ..services.paths import write_path
from ..services.request import OutboundRequest
from ..services.transport import build_transport_kwargs
from .const import ENDPOINT
from .errors import misconfigured
from .rule_engine import refuse_another_host, run_rules


class BwtWebhookOutboundDeliveryRequest(models.AbstractModel):
    """Build, gate, handler, extra headers: what connectors override."""

    _name = "bwt.webhook.outbound.delivery.request"
    _description = "Outbound Webhook Delivery: Request"
    _inherit = "bwt.webhook.outbound.delivery.input"

    # Build

    def _build_outbound_request(self):
        """The request as queued, with the endpoint's rules applied.

        Context values, then payload, headers and URL; nothing is decided yet. For an
        archived backend, whose gate decides first, it is the request as queued: it
        isn't sent, and an error of the build must not precede the gate.
        :return: `OutboundRequest`
        :raise ValidationError: a value is missing or a rule is invalid
        """
        self, snapshot = self._outbound_self()
        if snapshot.is_backend_archived:
            return self._request_as_queued(snapshot)
        self._outbound_backend(snapshot)  # a deleted one raises here
        scope = self._outbound_scope(snapshot)
        context_values = scope.context_values = self._get_context_values()
        data = scope.request_data = {
            "target_url": self._endpoint_of(snapshot)._render_outbound_target_url(
                context_values, delivery=self
            ),
            "http_method": snapshot.http_method,
            "request_body_mode": snapshot.body_mode,
            "headers": self._stored_json("request_headers_json", dict),
            "payload": self._stored_json("payload_json", None),
            "files": self._files_to_send(scope),
        }
        self._apply_payload_rules(snapshot, scope, data)
        self._apply_header_rules(snapshot, scope, data)
        request = OutboundRequest(**data)
        try:
            request.assert_valid()
        except ServiceError as error:
            raise self._outbound_fault(error) from error
        return request

    def _request_as_queued(self, snapshot):
        """Payload and headers as given to queueing, and the URL with its {tokens}."""
        return OutboundRequest(
            target_url=self._endpoint_of(snapshot).target_url or "",
            http_method=snapshot.http_method,
            request_body_mode=snapshot.body_mode,
            headers=self._stored_json("request_headers_json", dict),
            payload=self._stored_json("payload_json", None),
            files=self._outbound_scope(snapshot).files,
        )

    def _stored_json(self, name, kind):
        """The JSON value that a text field of this delivery holds."""
        try:
            value = json.loads(self[name] or "{}")
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

    def _apply_payload_rules(self, snapshot, scope, data):
        if snapshot.payload_rules and data["request_body_mode"] == "raw":
            scope.escape = escaper(self._raw_content_type(snapshot, scope, data))
        try:
            self._run_payload_rules(snapshot, scope, data)
        finally:
            scope.escape = None

    def _raw_content_type(self, snapshot, scope, data):
        """The Content-Type that the header rules will set."""
        found = content_type_of(data["headers"])
        for rule in snapshot.header_rules:
            if rule.target.lower() == "content-type":
                with suppress(ServiceError):  # reported where the header is built
                    found = header_text_of(rule.source.read(scope))
        return found

    def _run_payload_rules(self, snapshot, scope, data):
        for rule in snapshot.payload_rules:
            try:
                value = to_json_value(rule.source.read(scope), rule.target)
                data["payload"] = write_path(data["payload"], rule.target, value)
            except ServiceError as error:
                error.where = rule.source.label
                raise self._outbound_fault(error) from error

    def _apply_header_rules(self, snapshot, scope, data):
        headers = data["headers"]
        for rule in snapshot.header_rules:
            try:
                value = header_text_of(rule.source.read(scope), rule.target)
            except ServiceError as error:
                error.where = rule.source.label
                raise self._outbound_fault(error) from error
            set_header(headers, rule.target, value)

    # Decide

    def _invoke_handler(self, request):
        """Decide on the request: gate, handler or backend, extra headers.

        :param request: `OutboundRequest` from `_build_outbound_request`
        :return: `HandlerOutcome`; its request is the one to send
        """
        self, snapshot = self._outbound_self()
        backend = self._outbound_backend(snapshot, archived=True)
        for raw in self._gate_results(backend):
            if raw is not None:
                outcome = self._resolve_handler_outcome(raw, request)
                if outcome.status != "send":
                    return outcome
                request = outcome.request
        self._outbound_backend(snapshot)  # an archived one raises here
        raw = None
        if snapshot.handler is not None:
            raw = self._run_handler(snapshot, request)
        elif backend:
            raw = backend._dispatch_outbound_webhook_delivery(self, request)
        outcome = self._resolve_handler_outcome(raw, request)
        if outcome.status != "send":
            return outcome
        return self._with_extra_headers(outcome, backend)

    def _gate_results(self, backend):
        yield self._pre_dispatch_check()
        if backend:
            yield backend._check_outbound_dispatch_allowed(self)

    def _run_handler(self, snapshot, request):
        handler = self._handler_of(snapshot)
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
        self, snapshot = self._outbound_self()
        compiled = snapshot.handler
        if compiled is None or compiled.id != handler.id:
            compiled = handler._compiled()
        if request_data is None:
            request_data = self._build_outbound_request()
        scope = self._outbound_scope(snapshot)
        if scope.context_values is None:
            scope.context_values = self._get_context_values()
        request_data = as_request_data(request_data)
        try:
            rule, result = run_rules(compiled.rules, scope, request_data)
            refuse_another_host(rule, result, request_data, snapshot)
        except ServiceError as error:
            raise self._outbound_fault(error) from error
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

    def _encode_request(self, request):
        """The bytes that are sent: message id, body and headers, then credential and
        signature.

        :return: `EncodedRequest`
        """
        self, snapshot = self._outbound_self()
        headers = dict(request.raw("headers"))
        set_header(headers, "webhook-id", self.message_uid)
        try:
            kwargs = build_transport_kwargs(request.replaced(headers=headers))
            return self._apply_trust(encode(kwargs), snapshot)
        except ServiceError as error:
            raise self._outbound_fault(error) from error

    def _apply_trust(self, encoded, snapshot):
        """Add the authentication header unless set, then the signature.

        :return: `EncodedRequest`
        """
        return snapshot.trust.apply(encoded, self.message_uid, time.time())

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
        self, snapshot = self._outbound_self()
        if not snapshot.has_backend:
            return
        # Archived since it was sent: the backend still gets the response.
        backend = self._outbound_backend(snapshot, archived=True)
        operation = self._get_context_values().get("operation") or False
        backend._handle_outbound_webhook_response(
            self,
            response,
            state,
            outcome,
            binding=backend.resolve_outbound_delivery_binding(self),
            operation=operation,
        )

    def _outbound_fault(self, error):
        """A service's error as one that names the endpoint, and the rule if known."""
        text = self.env._(error.template, **error.values)  # pylint: disable=W8301
        where = getattr(error, "where", None)
        if where:
            text = self.env._("%(where)s: %(problem)s", where=where, problem=text)
        return misconfigured(self.env[ENDPOINT].browse(self.endpoint_id.id), text)


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
