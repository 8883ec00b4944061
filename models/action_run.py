# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import logging

from odoo import SUPERUSER_ID, fields, models
from odoo.tools.safe_eval import datetime, safe_eval, time

from ..services.errors import ServiceError
from ..services.jsonable import to_json_value
from ..services.paths import write_path
from .record_payload import (
    RecordScope,
    compile_record_payload,
    refuse_limited_fields,
)
from .refusal import misconfigured

_logger = logging.getLogger(__name__)


class ActionRun(models.AbstractModel):
    """How a server action turns records into deliveries."""

    _name = "bwt.webhook.outbound.action.run"
    _description = "Outbound Webhook Server Action: Run"

    def _run_action_bwt_webhook_outbound_multi(self, eval_context=None):
        """Queue one delivery per record, all in one insert."""
        records = self._bwt_webhook_records(eval_context or {})
        endpoint = self.bwt_webhook_endpoint_id
        if endpoint.state != "active" and self._bwt_webhook_is_neutralized():
            _logger.info("neutralized: %s queues nothing for %s", self, endpoint.code)
            return False
        if records is None:
            return False
        try:
            requests = self._bwt_webhook_requests(records)
        except ServiceError as error:
            raise misconfigured(self, error) from error
        endpoint.queue_deliveries(requests)
        if not self.binding_model_id:
            return False
        return {  # someone chose it in the Action menu and waits for word
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._(
                    "%(count)s queued for %(endpoint)s.",
                    count=len(requests),
                    endpoint=endpoint.name,
                ),
                "next": {"type": "ir.actions.act_window_close"},
            },
        }

    def _bwt_webhook_is_neutralized(self):
        """A copied database: its endpoints are in draft, and saving must still work."""
        get_param = self.env["ir.config_parameter"].sudo().get_param
        return bool(get_param("database.is_neutralized"))

    def _bwt_webhook_records(self, eval_context):
        """What it runs on: given records, else its filter's; None: nothing to do.

        An empty recordset stands for one delivery about no record.
        """
        records = eval_context.get("records") or eval_context.get("record")
        model = self.env[self.model_id.model]
        if records:
            return records.filtered("id")._origin or None
        if self.bwt_webhook_without_records != "domain":
            return model.browse()
        names = {
            "uid": self.env.uid,
            "time": time,
            "datetime": datetime,
            "context_today": lambda: fields.Date.context_today(self),
        }
        return model.search(safe_eval(self.bwt_webhook_domain or "[]", names)) or None

    def _bwt_webhook_requests(self, records):
        """Arguments of `queue_deliveries`: values as they are at this moment."""
        endpoint = self.bwt_webhook_endpoint_id.sudo()
        context = endpoint._outbound_context() if endpoint else {}
        env = self.env(user=SUPERUSER_ID, su=True, context=context)
        # One prefetch group: a field read from one record is read for all.
        records = records.with_env(env)
        build = self._bwt_webhook_compiled(env)
        return [build(record, endpoint) for record in (records or [records])]

    def _bwt_webhook_compiled(self, env):
        """A function `(record, endpoint) -> arguments of queue_delivery`."""
        payload_of = self._bwt_webhook_payload(env)
        lines = [
            (line.target, line._compiled_value(env))
            for line in self.bwt_webhook_context_ids.filtered("target")
        ]
        supersede = self.bwt_webhook_supersede

        def build(record, endpoint):
            scope = RecordScope(record, endpoint.with_env(env))
            for key, read in lines:
                scope.context_values[key] = to_json_value(read(scope), key)
            return {
                "payload": payload_of(scope),
                "context_lines": scope.context_values,
                "record": record or None,
                "supersede": supersede and bool(record),
            }

        return build

    def _bwt_webhook_payload(self, env):
        """A function `scope -> payload`."""
        if self.bwt_webhook_payload_mode == "rules":
            rules = [
                (line.target or "", line._compiled_value(env))
                for line in self.bwt_webhook_rule_ids
            ]
            return lambda scope: _by_rules(rules, scope)
        model_name = self.model_id.model
        lines = self.bwt_webhook_field_ids.filtered("source_expression")
        paths = [line.source_expression.strip() for line in lines]
        for path in paths:
            refuse_limited_fields(env, model_name, path)
        read = compile_record_payload(env, model_name, paths)
        head = {"_model": model_name, "_id": False}
        # As Odoo's own webhook action names itself; without a number until it is saved.
        number = f"(#{self._origin.id})" if self._origin.id else ""
        tail = {"_action": f"{self.name}{number}"}

        def payload_of(scope):
            record = scope.record if not paths else scope.need_record()
            return head | {"_id": record.id} | tail | read(record, scope.empty)

        return payload_of


def _by_rules(rules, scope):
    payload = {}
    for target, read in rules:
        payload = write_path(payload, target, to_json_value(read(scope), target))
    return payload
