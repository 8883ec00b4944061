# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import json

from odoo import Command, api, fields, models
from odoo.exceptions import AccessError, ValidationError
from odoo.tools.misc import clean_context

from ..lane.attempt_result import Claimed, Decided, Prepared
from ..lane.batch import prepare_batch
from ..models.const import CONTEXT_SOURCE_KINDS, DELIVERY, ENDPOINT
from ..models.delivery_access import (
    BINDING,
    check_relations,
    check_subjects,
    engine_defaults,
)
from ..models.endpoint_health import runner_warning
from ..models.endpoint_summary import context_keys
from ..models.errors import capitalized, refused, translate
from ..models.queue_request import new_message_uid
from ..models.value_format import FORMAT_FIELDS
from ..models.value_source import SOURCE_FIELDS, source_kind_field
from ..services.egress.preflight import check_target
from ..services.masking import mask_headers, mask_text, mask_url
from ..services.values import serialize_payload
from .stored_values import read_places, stored_message

# Beginnings of models that serve Odoo itself: nothing to deliver is about one.
TECHNICAL = (
    *("auth", "base.", "base_", "bus.", "bwt.webhook.", "decimal.", "digest."),
    *("discuss.", "fetchmail.", "html", "iap.", "ir.", "mail.", "onboarding."),
    *("phone.", "privacy.", "properties.", "publisher", "queue.", "report."),
    *("res.config", "res.device", "res.groups", "res.lang", "res.role", "res.users."),
    *("reset", "rpc", "sms.", "snailmail.", "web_", "web."),
)
LOOKUP_SECONDS = 5
SHOWN = 64 * 1024  # characters of a body
LINE_FIELDS = ("key_name", *SOURCE_FIELDS, *FORMAT_FIELDS)
# What the dialog records of a test, as superuser; a user sets none of it.
RECORDED = (
    *("step", "message_uid", "delivery_id", "request_line", "request_headers"),
    *("request_body", "outcome", "egress_check", "is_allowed", "is_unresolved"),
    "stored_values",
)
RELATIONS = ("endpoint_id", "source_delivery_id", "delivery_id")


class BwtWebhookOutboundSendTest(models.TransientModel):
    """Shows the exact request before it is sent, sends it, and shows the response."""

    _name = "bwt.webhook.outbound.send.test"
    _description = "Outbound Webhook: Send Test"
    _check_company_auto = True

    endpoint_id = fields.Many2one(
        comodel_name=ENDPOINT, required=True, ondelete="cascade", readonly=True
    )
    company_id = fields.Many2one(related="endpoint_id.company_id", related_sudo=False)
    # Related without sudo: onchange computes them for any id that it is given.
    endpoint_state = fields.Selection(
        related="endpoint_id.state", string="Endpoint State", related_sudo=False
    )
    step = fields.Selection(
        selection=[
            ("write", "Payload"),
            ("request", "Request"),
            ("response", "Response"),
        ],
        default="write",
        required=True,
        readonly=True,
    )
    source_delivery_id = fields.Many2one(
        comodel_name=DELIVERY,
        string="Start From",
        domain="[('endpoint_id', '=', endpoint_id)]",
        check_company=True,
        ondelete="set null",
        help="A past delivery: its payload, headers, context lines, files and "
        "record are copied. Changes made here don't affect it.",
    )
    record_ref = fields.Reference(
        selection="_selection_record_model",
        string="About the Record",
        help="Required by rules that read record fields. Only models that you may "
        "read, without Odoo's technical models.",
    )

    payload_json = fields.Text(string="Payload", required=True, default="{}")
    request_headers_json = fields.Text(string="Headers", required=True, default="{}")
    line_ids = fields.One2many(
        comodel_name="bwt.webhook.outbound.send.test.line",
        inverse_name="test_id",
        string="Context Lines",
        help="Values for {tokens} and context keys.",
    )
    message_uid = fields.Char(
        string="Message ID", default=lambda self: new_message_uid(), readonly=True
    )

    request_line = fields.Char(readonly=True, string="Request")
    request_headers = fields.Text(readonly=True, string="Headers Sent")
    request_body = fields.Text(readonly=True, string="Body")
    outcome = fields.Text(
        string="Why Not Sent",
        readonly=True,
        help="Why no request would be sent. Empty when one would be sent.",
    )
    egress_check = fields.Text(
        readonly=True,
        help="Result of the egress check of the target.",
    )
    is_allowed = fields.Boolean(readonly=True)
    is_unresolved = fields.Boolean(readonly=True)
    runner_warning = fields.Text(
        compute="_compute_runner_warning",
        help="Set when only this test would be sent.",
    )

    delivery_id = fields.Many2one(
        comodel_name=DELIVERY, ondelete="set null", readonly=True, check_company=True
    )
    delivery_state = fields.Selection(
        related="delivery_id.state", string="Delivery State", related_sudo=False
    )
    delivery_next_attempt_at = fields.Datetime(
        related="delivery_id.next_attempt_at", related_sudo=False
    )
    has_late_note = fields.Boolean(
        related="delivery_id.has_late_note", related_sudo=False
    )
    status_message = fields.Text(
        related="delivery_id.status_message", string="What Happened", related_sudo=False
    )
    attempt_id = fields.Many2one(
        comodel_name="bwt.webhook.outbound.delivery.attempt",
        compute="_compute_attempt_id",
    )
    response_status = fields.Integer(
        related="attempt_id.response_status_code", related_sudo=False
    )
    response_ms = fields.Integer(
        related="attempt_id.duration_ms", string="Duration (ms)", related_sudo=False
    )
    response_headers = fields.Text(
        related="attempt_id.response_headers_pretty", related_sudo=False
    )
    response_body = fields.Text(related="attempt_id.response_body", related_sudo=False)
    stored_values = fields.Text(
        readonly=True,
        help="What the endpoint's response values have stored from this response. "
        "Empty if it has none.",
    )

    @api.depends("delivery_id")
    def _compute_attempt_id(self):
        for test in self:
            test.attempt_id = test.delivery_id.attempt_ids[:1]

    @api.depends("endpoint_id")
    @api.depends_context("lang")
    def _compute_runner_warning(self):
        for test in self:
            test.runner_warning = runner_warning(test.endpoint_id)

    # A start

    @api.model_create_multi
    def create(self, vals_list):
        return super().create([self._checked_to_create(vals) for vals in vals_list])

    def write(self, vals):
        if not self.env.su:
            self._refuse_recorded(vals)
            check_relations(self, RELATIONS, vals)
        return super().write(vals)

    def _checked_to_create(self, vals):
        """Values of a new dialog; no default of context or user adds a record."""
        if self.env.su:
            return vals
        self._refuse_recorded(vals)
        values = self.default_get([*RELATIONS, "record_ref"]) | vals
        check_relations(self, RELATIONS, values)
        blank = dict.fromkeys(RECORDED, False)
        return values | blank | {"step": "write", "message_uid": new_message_uid()}

    def _refuse_recorded(self, vals):
        given = [name for name in RECORDED if vals.get(name)]
        if given:
            raise AccessError(
                self.env._(
                    "%(fields)s can't be set on a test: the dialog records them. Use "
                    "its buttons instead.",
                    fields=", ".join(
                        self._fields[name]._description_string(self.env)
                        for name in given
                    ),
                )
            )

    def onchange(self, values, field_names, fields_spec):
        check_relations(self, RELATIONS, values)
        return super().onchange(values, field_names, fields_spec)

    def _record(self, vals):
        """Write what the dialog records, which a user may not."""
        self.sudo().write(vals)

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        check_relations(self, RELATIONS, values)
        endpoint = self.env[ENDPOINT].browse(values.get("endpoint_id"))
        if not endpoint:
            return values
        if not endpoint.payload_rule_ids and "payload_json" in fields_list:
            values["payload_json"] = serialize_payload({"test": True})
        if "line_ids" in fields_list:
            values["line_ids"] = self._lines_for(endpoint)
        return values

    def _lines_for(self, endpoint):
        """A line for each key that path and rules name, as the last delivery had it."""
        keys = context_keys(endpoint)
        if not keys:
            return []
        last = self.env[DELIVERY].search([("endpoint_id", "=", endpoint.id)], limit=1)
        known = {line.key_name: line for line in last.context_line_ids}
        return [
            Command.create(
                _line_values(known[key]) if key in known else {"key_name": key}
            )
            for key in keys
        ]

    @api.onchange("source_delivery_id")
    def _onchange_source_delivery(self):
        start = self.source_delivery_id
        if not start:
            return
        self.payload_json = start.payload_json
        self.request_headers_json = start.request_headers_json
        self.line_ids = [
            Command.clear(),
            *(Command.create(_line_values(line)) for line in start.context_line_ids),
        ]
        self.record_ref = False
        if start.res_model in dict(self._selection_record_model()) and start.res_id:
            record = self.env[start.res_model].browse(start.res_id).exists()
            if record and record.has_access("read"):
                self.record_ref = f"{record._name},{record.id}"

    # Preview

    def action_preview(self):
        """Build the request by the lane's own steps, show it, and undo it all."""
        self.ensure_one()
        self._check_may_test()
        snapshot = self.endpoint_id.sudo()._outbound_snapshot()
        shown = {"outcome": False, "request_line": False, "egress_check": False}
        shown |= {"request_headers": False, "request_body": False, "is_allowed": False}
        shown["is_unresolved"] = False
        with self.env.cr.savepoint() as savepoint:
            delivery = self._make_delivery()
            claimed = Claimed(delivery.id, delivery.name, "draft", 0, 0, 0, None)
            [stage] = prepare_batch(delivery, snapshot, [claimed])
            shown |= _preview(self.env, stage, snapshot)
            savepoint.rollback()
        self._record(shown | {"step": "request"})
        return self._again()

    # Send

    def action_send(self):
        """Send it by the lane's own steps in this transaction and show the response."""
        self.ensure_one()
        self._check_may_test()
        if self.step != "request":
            raise ValidationError(
                self.env._("Preview the request first, then send it.")
            )
        delivery = self._make_delivery()
        before = read_places(delivery, self.env)
        delivery.process_delivery()
        stored = False
        if delivery.endpoint_id.has_answer_values:
            after = read_places(delivery, self.env)
            stored = stored_message(delivery.with_env(self.env), before, after)
        self._record(
            {"delivery_id": delivery.id, "step": "response", "stored_values": stored}
        )
        return self._again()

    def action_back(self):
        """Change what is sent; the next one has its own message ID."""
        self.ensure_one()
        values = {"step": "write"}
        if self.delivery_id:
            values |= {"message_uid": new_message_uid(), "delivery_id": False}
        self._record(values)
        return self._again()

    def action_stop_retries(self):
        """A test that failed needn't be tried for a day."""
        self.ensure_one()
        self.delivery_id.action_cancel_delivery()
        return self._again()

    def action_open_delivery(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": DELIVERY,
            "res_id": self.delivery_id.id,
            "views": [(False, "form")],
        }

    # The record

    def _model_of_records(self):
        """The model of the chosen record, else what the endpoint knows."""
        if self.record_ref:
            return self.record_ref._name
        return self.endpoint_id._model_of_records()

    @api.model
    def _selection_record_model(self):
        found = self.env["ir.model"].sudo().search([("transient", "=", False)])
        return sorted(
            ((each.model, each.name) for each in found if self._is_offered(each.model)),
            key=lambda pair: pair[1].lower(),
        )

    def _is_offered(self, model_name):
        if model_name.startswith(TECHNICAL) or model_name not in self.env:
            return False
        model = self.env[model_name]
        return not model._abstract and model._auto and model.has_access("read")

    def _about(self):
        """Model and id for the delivery: what is chosen, else what the start is about.

        A past delivery may be about a model that isn't offered.
        """
        if self.record_ref:
            return {"res_model": self.record_ref._name, "res_id": self.record_ref.id}
        start = self.source_delivery_id.sudo()
        if start.res_id and not self._is_offered(start.res_model):
            return {"res_model": start.res_model, "res_id": start.res_id}
        return {"res_model": False, "res_id": False}

    # The delivery

    def _check_may_test(self):
        """Refuse users who may not configure the endpoint or read what they chose."""
        self.endpoint_id.check_access("write")
        for taken in (self.record_ref, self.source_delivery_id):
            if taken:
                taken.check_access("read")
        about = self._about()
        check_subjects(self.env, [tuple(about[name] for name in BINDING)])

    def _make_delivery(self):
        """The delivery as a draft, as superuser: the same for preview and sending."""
        # Complete values, and no context: a default may not add what isn't checked.
        context = clean_context(self.env.context) | {"tracking_disable": True}
        deliveries = self.env[DELIVERY].sudo().with_context(context)  # pylint: disable=W8121  # as said
        delivery = deliveries.create(
            {
                **engine_defaults(deliveries),
                "endpoint_id": self.endpoint_id.id,
                "origin": "test",
                "name": self.env._("Test / %s", self.endpoint_id.name),
                "message_uid": self.message_uid,
                "payload_json": self.payload_json,
                "request_headers_json": self.request_headers_json,
                **self._about(),
                "context_line_ids": [
                    Command.create(
                        _line_values(line)
                        | {"sequence": number, **line._reader_values()}
                    )
                    for number, line in enumerate(self.line_ids, 1)
                ],
            }
        )
        if self.source_delivery_id:
            self.source_delivery_id.sudo()._copy_files_to(delivery)
        return delivery

    @api.constrains("payload_json")
    def _check_payload(self):
        for test in self:
            try:
                json.loads(test.payload_json)
            except (ValueError, RecursionError) as error:
                raise refused(
                    test.endpoint_id,
                    self.env._(
                        "the payload is not valid JSON: %s. Correct the text.", error
                    ),
                ) from error

    def _again(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Send Test"),
            "res_model": self._name,
            "res_id": self.id,
            "views": [(False, "form")],
            "target": "new",
        }


def _preview(env, stage, snapshot):
    """What of a stage of the lane is shown, secrets masked."""
    secrets = snapshot.trust.secrets
    if isinstance(stage, Prepared):
        encoded = stage.encoded
        body = (encoded.body or b"").decode("utf-8", "replace")
        return {
            "request_line": _masked(
                f"{encoded.method} {mask_url(encoded.url)}", secrets
            ),
            "request_headers": _masked(
                "\n".join(f"{k}: {v}" for k, v in mask_headers(encoded.headers)),
                secrets,
            ),
            "request_body": _masked(body[:SHOWN], secrets),
            **_egress_values(env, encoded.url, snapshot),
        }
    if isinstance(stage, Decided):
        outcome = stage.outcome
        rule = env["bwt.webhook.outbound.handler.rule"].sudo()
        rule = rule.browse(outcome.matched_rule_id or ()).exists()
        statuses = dict(rule._fields["result_status"]._description_selection(env))
        values = {
            "status": statuses.get(outcome.status, outcome.status),
            "rule": rule.name,
            "note": outcome.note or "",
        }
        if rule:
            text = env._(
                'No request would be sent: the rule "%(rule)s" of the handler decides '
                "%(status)s. %(note)s",
                **values,
            )
        else:
            text = env._(
                "No request would be sent: the handler decides %(status)s. %(note)s",
                **values,
            )
        return {"outcome": _masked(text.strip(), secrets)}
    return {"outcome": _masked(stage.error, secrets)}


def _egress_values(env, url, snapshot):
    check = check_target(url, snapshot.trust.egress, timeout=LOOKUP_SECONDS)
    return {
        "egress_check": _egress_message(env, check, snapshot.schedule),
        "is_allowed": not check.refusal,
        "is_unresolved": check.is_unresolved,
    }


def _egress_message(env, check, schedule):
    if check.refusal:
        text = capitalized(translate(env, check.refusal))
        if not check.is_unresolved:
            return text
        if not schedule.delays:
            return env._(
                "%s A delivery would be dead-lettered: the endpoint has no "
                "retry schedule.",
                text,
            )
        return env._("%s A delivery would be retried on the schedule.", text)
    if check.addresses == (check.host,):
        return env._("Requests to %s are allowed.", check.host)
    return env._(
        "Requests to %(host)s (%(addresses)s) are allowed.",
        host=check.host,
        addresses=", ".join(check.addresses),
    )


def _masked(text, secrets):
    return mask_text(text, secrets) if secrets else text


def _line_values(line):
    return {name: line[name] for name in LINE_FIELDS}


class BwtWebhookOutboundSendTestLine(models.TransientModel):
    """One context line of a test."""

    _name = "bwt.webhook.outbound.send.test.line"
    _description = "Outbound Webhook: Send Test, Context Line"
    _inherit = "bwt.webhook.outbound.source.mixin"
    _rec_name = "key_name"

    test_id = fields.Many2one(
        comodel_name="bwt.webhook.outbound.send.test",
        required=True,
        ondelete="cascade",
    )
    key_name = fields.Char(string="Key", required=True)
    source_kind = source_kind_field(CONTEXT_SOURCE_KINDS)

    def _source_label(self):
        return self.env._('context line "%s"', self.key_name or "")

    def _source_owner(self):
        return self.test_id.endpoint_id

    @api.depends("test_id.record_ref")
    def _compute_path_model(self):  # pylint: disable=missing-return  # a compute
        super()._compute_path_model()

    def _path_owner(self):
        return self.test_id
