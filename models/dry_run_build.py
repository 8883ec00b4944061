# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Past deliveries, built again with the settings of today, against what was sent.

What runs here runs in an isolated transaction, see `lane/isolation.py`.
"""

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from odoo import SUPERUSER_ID
from odoo.tools import SQL

from ..lane.attempt_result import Claimed, Prepared, Refused
from ..lane.batch import HandlerFailed, describe
from ..lane.clock import utcnow
from ..lane.pacing import check_size
from ..lane.recording import body_hash, shown_request
from ..lane.savepoint import FOREIGN_ERRORS, Savepoint
from ..lane.sent_before import NOT_COMPARED, OF_AN_ATTEMPT
from ..services.differences import Difference, Shown, body_differences, compare
from ..services.egress.policy import Policy
from ..services.errors import ServiceError
from ..services.trust import Trust
from .action_changes import RecordChanges, read_old_values
from .action_queue import compile_action
from .const import CONTEXT_LINE, DELIVERY, ENDPOINT, EXTERNAL_REF, HANDLER
from .content_retention import comparable, compared_without
from .endpoint_snapshot import snapshot_of
from .queue_request import read_requests

DRY_RUN_KEY = "webhook_dry_run"  # in the context of handlers, gates and hooks
BODY_MAX = 256 * 1024  # bytes of a body that is compared value by value
VERDICTS = [
    ("unchanged", "Unchanged"),
    ("changed", "Changed"),
    ("cancel", "Would Be Canceled"),
    ("dead_letter", "Would Be Dead-Lettered"),
    ("done", "Would Be Done"),
    ("retry", "Would Be Retried Later"),
    ("error", "Would Be an Error"),
    ("not_compared", "Not Compared"),
]


class Result(NamedTuple):
    """What has become of one delivery.

    attempt_number: of the attempt that it was compared with; 0: what was queued
    differences: of a delivery that is sent then and now
    new: `Shown`, the request of today; None where none would be sent
    """

    delivery_id: int
    verdict: str
    message: str = ""
    attempt_number: int = 0
    differences: tuple[Difference, ...] = ()
    new: Any = None


class Past(NamedTuple):
    """A delivery and its last attempt, as stored; without one, all of it is None."""

    id: int
    state: str
    is_emptied: bool
    needs_build: bool
    number: int | None
    attempt_state: str | None
    reason: str | None
    started_at: Any
    status: int | None
    method: str | None
    body_mode: str | None
    url: str | None
    headers: str | None
    payload: str | None
    files: str | None
    body_hash: str | None

    @property
    def outcome(self):
        """What was decided at that time, as the status of a handler's outcome."""
        if self.number is None:
            return "error" if self.state in ("error", "dead_letter") else "cancel"
        if self.attempt_state == "canceled":
            return "cancel"
        if self.attempt_state == "done" and self.status is None:
            return "done"
        if self.reason == "handler":
            state = self.attempt_state
            return state if state in ("dead_letter", "retry") else "error"
        return "error" if self.reason == "build" else "send"

    def shown(self):
        """The request that was sent."""
        return Shown(
            method=self.method,
            url=self.url,
            headers=json.loads(self.headers or "{}"),
            body=self.payload,
            is_json=self.body_mode not in ("raw", "csv"),
            files=self.files or "",
        )


def _past(ids) -> SQL:
    return SQL(
        """SELECT d.id, d.state, d.content_deleted_at IS NOT NULL,
            COALESCE(d.needs_build, FALSE), a.attempt_number, a.state,
            a.failure_reason, a.started_at, a.response_status_code, a.http_method,
            a.request_body_mode, a.target_url, a.request_headers_json,
            CASE WHEN octet_length(COALESCE(a.payload_json, d.payload_json)) <= %s
                THEN COALESCE(a.payload_json, d.payload_json) END,
            a.multipart_file_keys, a.body_hash
        FROM bwt_webhook_outbound_delivery d LEFT JOIN LATERAL (
            SELECT * FROM bwt_webhook_outbound_delivery_attempt
            WHERE delivery_id = d.id ORDER BY attempt_number DESC LIMIT 1
        ) a ON TRUE WHERE d.id = ANY(%s)""",
        BODY_MAX,
        ids,
    )


def sizes(ids) -> SQL:
    """Bytes that building each of these deliveries takes, in their order."""
    return SQL(
        """SELECT d.id, octet_length(d.payload_json) + COALESCE((
            SELECT sum(file_size) FROM ir_attachment
            WHERE res_model = %s AND res_id = d.id
        ), 0)::bigint
        FROM unnest(%s::int[]) WITH ORDINALITY i (id, place)
        JOIN bwt_webhook_outbound_delivery d ON d.id = i.id ORDER BY i.place""",
        DELIVERY,
        ids,
    )


class RequestComparison:
    """Builds requests with the settings of an endpoint, as a lane would.

    :param endpoint_id: whose deliveries these are
    :param settings_id: of the endpoint whose settings are tried
    :param handler_id: tried instead of the handler of these settings, or None
    """

    def __init__(self, endpoint_id, settings_id, handler_id):
        self.endpoint_id = endpoint_id
        self.settings_id = settings_id
        self.handler_id = handler_id
        self.snapshot = None

    def compare(self, env, ids):
        """A `Result` for each of these deliveries that still exists.

        :param env: superuser, isolated, in the language of the messages
        """
        if self.snapshot is None:
            self._compile(env)
        self.env = env
        past = {row[0]: Past(*row) for row in env.execute_query(_past(ids))}
        built = [
            each
            for each in ids
            if each in past and not past[each].is_emptied and not past[each].needs_build
        ]
        new = self._build(env[DELIVERY].browse(built), past)
        return [
            self._result(past[each], *new.get(each, (None, None)))
            for each in ids
            if each in past
        ]

    def _compile(self, env):
        own, settings = env[ENDPOINT].browse((self.endpoint_id, self.settings_id))
        # No credential, no signature: these are not compared, and an access token
        # would have to be requested.
        secrets = dict.fromkeys((*own._masked(None), *settings._masked(None)))
        trust = Trust(egress=Policy(), secrets=tuple(secrets))
        snapshot = snapshot_of(settings, trust=trust)
        handler = snapshot.handler
        if self.handler_id:
            found = env[HANDLER].browse(self.handler_id)
            handler = found.with_context(**snapshot.context)._compiled()
        self.ignored = NOT_COMPARED | OF_AN_ATTEMPT
        self.ignored |= _own_headers(own) | _own_headers(settings)
        reads = any(
            source.reads_record
            for rule in (handler.rules if handler else ())
            for source in rule.sources()
        )
        self.snapshot = replace(
            snapshot,
            handler=handler,
            needs_records=snapshot.needs_records or reads,
            context={**snapshot.context, DRY_RUN_KEY: True},
            # Neither repeats what was sent, nor is skipped because it was.
            rebuilds=True,
            skips_unchanged=False,
            tracks_requests=False,
        )

    # Build

    def _build(self, deliveries, past):
        """Delivery id -> (stage, `BuildScope`); the stage as `_prepare_outbound`."""
        if not deliveries:
            return {}
        cr = deliveries.env.cr
        try:
            with Savepoint(cr) as savepoint:
                return self._build_together(deliveries, past, savepoint)
        except FOREIGN_ERRORS as error:
            if cr.closed:
                raise
            deliveries.env.invalidate_all(flush=False)
            if len(deliveries) == 1:
                return {deliveries.id: (self._failed(deliveries, error), None)}
        found = {}
        for delivery in deliveries:  # a bad one never affects the others
            found |= self._build(delivery, past)
        return found

    def _build_together(self, deliveries, past, savepoint):
        scopes = deliveries._in_build_env(self.snapshot)._read_scopes(self.snapshot)
        self._forget_later_references(scopes, past)
        found = {}
        for delivery_id, scope in scopes.items():
            delivery, claimed = scope.delivery, _claimed(scope.delivery)
            stage = delivery._prepare_outbound(self.snapshot, scope, claimed, savepoint)
            savepoint.check()
            if isinstance(stage, Prepared):
                try:
                    check_size(stage.size)
                except ServiceError as error:
                    stage = Refused(claimed, "build", describe(self.env, error))
            found[delivery_id] = (stage, scope)
        return found

    def _forget_later_references(self, scopes, past):
        """Without what receivers have returned after the attempts: a record that was
        created then would seem to be updated.
        """
        known = {each.delivery.res_id for each in scopes.values() if each.reference}
        if not known:
            return
        rows = self.env.execute_query(
            SQL(
                """SELECT res_model, res_id, create_date FROM %s
                WHERE reference_scope = %s AND res_id = ANY(%s)""",
                SQL.identifier(self.env[EXTERNAL_REF]._table),
                self.snapshot.reference_scope,
                list(known),
            )
        )
        since = {(model, record_id): at for model, record_id, at in rows}
        for delivery_id, scope in scopes.items():
            about = scope.delivery.res_model, scope.delivery.res_id
            started_at = past[delivery_id].started_at
            if scope.reference and started_at and since.get(about):
                if since[about] >= started_at:
                    scope.reference = None

    def _failed(self, delivery, error):
        is_handler = isinstance(error, HandlerFailed)
        text = describe(self.env, error.cause if is_handler else error)
        return Refused(_claimed(delivery), "handler" if is_handler else "build", text)

    # Compare

    def _result(self, past, stage, scope):
        env = self.env
        if past.is_emptied:
            return self._not_compared(
                past, env._("Its content was deleted, so it can't be built again.")
            )
        if past.needs_build:
            return self._not_compared(
                past,
                env._(
                    "Its server action could not build its payload. Use Compare with "
                    "Past Deliveries on the server action."
                ),
            )
        if past.number is None and past.state == "done":
            return self._not_compared(
                past, env._("It has no attempt that it could be compared with.")
            )
        if isinstance(stage, Prepared):
            result = self._of_request(past, stage)
        else:
            result = self._of_decision(past, stage)
        if result.verdict != "unchanged" and self._is_record_deleted(stage, scope):
            return self._not_compared(
                past,
                env._(
                    "Its record was deleted, so what would be read of it is not known."
                ),
            )
        return result

    def _is_record_deleted(self, stage, scope):
        if scope is None:
            delivery = self.env[DELIVERY].browse(stage.claimed.id)
            model = self.env.get(delivery.res_model or "")
            return bool(delivery.res_id) and (
                model is None or not model.browse(delivery.res_id).exists()
            )
        if scope.kept_values():
            return False
        if isinstance(stage, Refused):
            return bool(scope.delivery.res_id) and not scope.record
        return scope.is_record_deleted

    def _not_compared(self, past, message):
        return Result(past.id, "not_compared", message, past.number or 0)

    def _of_decision(self, past, stage):
        """A delivery for which no request would be sent."""
        if isinstance(stage, Refused):
            outcome, message = "error", stage.error
        else:
            outcome, message = stage.outcome.status, stage.outcome.note or ""
        if outcome == past.outcome:
            outcome = "unchanged"
            message = self.env._("Nothing was sent, as now. %s", message or "").strip()
        return Result(past.id, outcome, message, past.number or 0)

    def _of_request(self, past, stage):
        """A delivery for which a request would be sent."""
        new = shown_request(stage, self.snapshot.trust.secrets)
        number = past.number or 0
        if past.outcome != "send":
            return Result(
                past.id,
                "changed",
                self.env._("Nothing was sent. A request would be sent now."),
                number,
                new=new,
            )
        old = past.shown()
        is_same_body = past.body_hash == body_hash(stage.encoded.body)
        if is_same_body:
            old = old._replace(body=None)
        differences = tuple(compare(old, new, self.ignored))
        message = ""
        if not is_same_body and past.payload is None:
            differences += (Difference("body", "", "…", "…"),)
            message = self.env._("The body is too large to be compared by its values.")
        verdict = "changed" if differences else "unchanged"
        return Result(past.id, verdict, message, number, differences, new)


def _claimed(delivery):
    # As a draft: it is neither compared with other requests nor skipped.
    return Claimed(delivery.id, delivery.name, "draft", 0, 0, 0, None)


def _own_headers(endpoint):
    """Lower-case names of the headers of authentication and signature."""
    names = set()
    if endpoint.auth_mode == "api_key":
        names.add((endpoint.auth_header_name or "").lower())
    elif endpoint.auth_mode not in (False, "none"):
        names.add("authorization")
    if endpoint.signing_mode in ("hmac", "template"):
        names.add((endpoint.hmac_header_name or "").lower())
    return names - {""}


class ActionComparison:
    """Builds payload and context lines from the records, as a server action would.

    Compared with what its past deliveries were queued with.

    :param user_id: records that this user may not read are not compared
    :param company_ids: of that user
    """

    def __init__(self, action_id, user_id, company_ids):
        self.action_id = action_id
        self.user_id = user_id
        self.company_ids = company_ids

    def compare(self, env, ids):
        """A `Result` for each of these deliveries that still exists."""
        self.env = env
        action = env["ir.actions.server"].browse(self.action_id)
        deliveries = env[DELIVERY].browse(ids).exists()
        model = env(
            user=self.user_id,
            su=False,
            context={"allowed_company_ids": self.company_ids, "active_test": False},
        )[action.model_id.model]
        subjects = [each.res_id for each in deliveries if each.res_id]
        records = model.sudo().browse(subjects).exists()
        readable = set(records.with_env(model.env)._filtered_access("read").ids)
        self.path = compared_without(action)
        self.lines = _lines_of(env, deliveries.ids)
        self.old = read_old_values(env, deliveries.ids)
        results, built = {}, []
        for delivery in deliveries:
            problem = self._problem(delivery, action, set(records.ids), readable)
            if problem:
                results[delivery.id] = Result(delivery.id, "not_compared", problem)
            else:
                built.append(delivery)
        requests = self._build(action, built, records)
        for delivery in built:
            results[delivery.id] = self._result(delivery, requests[delivery.id])
        return [results[each] for each in deliveries.ids]

    def _problem(self, delivery, action, existing, readable):
        """Why a delivery is not compared; empty if it is."""
        env = self.env
        if delivery.content_deleted_at:
            return env._(
                "Its content was deleted, so there is nothing to compare with."
            )
        if not delivery.res_id:
            return ""
        if delivery.res_model != action.model_id.model:
            return env._("The server action was for another model at that time.")
        if delivery.res_id not in existing:
            return env._(
                "Its record was deleted, so what would be read of it is not known."
            )
        if delivery.res_id not in readable:
            return env._("You may not read its record.")
        return ""

    def _build(self, action, deliveries, records):
        """Delivery id -> `QueueRequest`, or the text of the error."""
        if not deliveries:
            return {}
        cr = self.env.cr
        try:
            with Savepoint(cr) as savepoint:
                requests_of = compile_action(action)
                found = {}
                for delivery in deliveries:
                    found[delivery.id] = self._request(
                        action, requests_of, delivery, records
                    )
                    savepoint.check()
                return found
        except FOREIGN_ERRORS as error:
            if cr.closed:
                raise
            self.env.invalidate_all(flush=False)
            if len(deliveries) == 1:
                return {deliveries[0].id: describe(self.env, error)}
        found = {}
        for delivery in deliveries:
            found |= self._build(action, [delivery], records)
        return found

    def _request(self, action, requests_of, delivery, records):
        record = records.browse(delivery.res_id or ()).with_prefetch(records.ids)
        old, changes = self.old.get(delivery.id), {}
        if old is not None and record:
            changes[record.id] = RecordChanges(record, old)
        [request] = requests_of(record, changes)
        endpoint = action.bwt_webhook_endpoint_id.with_user(SUPERUSER_ID)
        [requested] = read_requests(endpoint, [request], utcnow())
        return requested

    def _result(self, delivery, requested):
        if isinstance(requested, str):
            if delivery.needs_build:
                message = self.env._("It could not be built, as now. %s", requested)
                return Result(delivery.id, "unchanged", message)
            return Result(delivery.id, "error", requested)
        payload = requested.vals["payload_json"]
        lines = {
            each["key_name"]: each.get("literal_value") for each in requested.lines
        }
        new = Shown("", "", {}, _indented(payload), True)
        if delivery.needs_build:
            message = self.env._("It could not be built. It could be built now.")
            return Result(delivery.id, "changed", message, new=new)
        old = comparable(delivery.payload_json, self.path)
        differences = body_differences(
            json.dumps(old), json.dumps(comparable(payload, self.path))
        )
        before = self.lines.get(delivery.id, {})
        differences += [
            Difference("context", key, before.get(key), lines.get(key))
            for key in sorted(before.keys() | lines.keys())
            if before.get(key) != lines.get(key)
        ]
        verdict = "changed" if differences else "unchanged"
        return Result(delivery.id, verdict, "", 0, tuple(differences), new)


def _lines_of(env, ids):
    """Delivery id -> key -> literal of its context lines."""
    found = {}
    for delivery_id, key, _kind, _expression, literal, *_rest in env[
        CONTEXT_LINE
    ]._rows_of(ids):
        found.setdefault(delivery_id, {})[key] = literal
    return found


def _indented(text):
    with suppress(ValueError, RecursionError):
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    return text
