# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import logging
from dataclasses import astuple, dataclass

from odoo import SUPERUSER_ID, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools.safe_eval import dateutil, safe_eval

from ..lane.batch import describe
from ..services.errors import ServiceError
from ..services.jsonable import to_json_value
from ..services.paths import write_path
from .const import DELIVERY
from .endpoint_alerts import request_notification
from .errors import misconfigured, refused
from .failure_guard import RETRIED_BY_ODOO, guarded
from .record_payload import (
    RecordScope,
    compile_record_payload,
    refuse_limited_fields,
)

SKIP = "bwt.webhook.outbound.endpoint.skip"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """Numbers of deliveries of a run; `error`: why the first was not built."""

    queued: int = 0
    drafts: int = 0
    skipped: int = 0
    not_built: int = 0
    error: str = ""

    @property
    def is_plain(self):
        """Whether deliveries were only queued."""
        return not (self.drafts or self.skipped or self.not_built)

    def plus(self, other):
        *ours, error = astuple(self)
        *theirs, other_error = astuple(other)
        counts = [sum(pair) for pair in zip(ours, theirs, strict=True)]
        return RunResult(*counts, error or other_error)


class BwtWebhookOutboundActionRun(models.AbstractModel):
    """How a server action turns records into deliveries."""

    _name = "bwt.webhook.outbound.action.run"
    _description = "Outbound Webhook Server Action: Run"

    def _run_action_bwt_webhook_outbound_multi(self, eval_context=None):
        """Queue one delivery per record, all in one insert.

        An error of endpoint, action or data is not raised to the user who triggers it,
        unless the action is set to refuse.
        """
        endpoint = self.bwt_webhook_endpoint_id.sudo()
        if endpoint.state != "active" and self._bwt_webhook_is_neutralized():
            _logger.info("neutralized: %s queues nothing for %s", self, endpoint.code)
            return False
        if self.bwt_webhook_failure_mode == "refuse":
            result = self._bwt_webhook_run_or_raise(eval_context or {})
        else:
            result = self._bwt_webhook_run(eval_context or {})
        return self._bwt_webhook_notification(result)

    def _bwt_webhook_run_or_raise(self, eval_context):
        """Queue on an active endpoint; raises every error."""
        records = self._bwt_webhook_records(eval_context)
        if records is None:
            return RunResult()
        endpoint = self.bwt_webhook_endpoint_id.sudo()
        endpoint.ensure_one()._check_queueable()
        return self._bwt_webhook_queue(endpoint, records)

    def _bwt_webhook_run(self, eval_context):
        """Queue, store as draft, skip, or store as an error; raises nothing itself.

        Errors of the user's changes, and those that Odoo retries, are raised.
        """
        with guarded(self.env) as outcome:
            records = self._bwt_webhook_records(eval_context)
            result = self._bwt_webhook_dispatch(records)
        if outcome.error is None:
            return result
        # Something failed: find out what, and queue the rest.
        with guarded(self.env) as outcome:
            records = self._bwt_webhook_records(eval_context)
        if outcome.error is not None:
            no_record = self.env[self.model_id.model].browse()
            return self._bwt_webhook_keep(no_record, outcome.error)
        with guarded(self.env) as outcome:
            self._bwt_webhook_compiled(self._bwt_webhook_env())
        if outcome.error is not None:
            return self._bwt_webhook_keep(records, outcome.error)
        return self._bwt_webhook_run_parts(records)

    def _bwt_webhook_run_parts(self, records):
        """Split in halves until the failing record is alone; the rest is queued."""
        with guarded(self.env) as outcome:
            result = self._bwt_webhook_dispatch(records)
        if outcome.error is None:
            return result
        if len(records) < 2:
            return self._bwt_webhook_keep(records, outcome.error)
        half = len(records) // 2
        return self._bwt_webhook_run_parts(records[:half]).plus(
            self._bwt_webhook_run_parts(records[half:])
        )

    def _bwt_webhook_dispatch(self, records):
        """The action for the state of the endpoint; None: nothing to do."""
        endpoint = self.bwt_webhook_endpoint_id.sudo()
        if records is None:
            return RunResult()
        if endpoint.state != "active":
            request_notification(endpoint)
        if endpoint.state == "archived":
            return RunResult(skipped=self.env[SKIP]._count(endpoint, self, records))
        return self._bwt_webhook_queue(endpoint, records)

    def _bwt_webhook_queue(self, endpoint, records):
        try:
            requests = self._bwt_webhook_requests(records)
        except ServiceError as error:
            raise misconfigured(self, error) from error
        deliveries = self.env[DELIVERY]._take_in_for_action(self, endpoint, requests)
        if endpoint.state == "draft":
            return RunResult(drafts=len(deliveries))
        return RunResult(queued=len(deliveries))

    def _bwt_webhook_keep(self, records, error):
        """Store deliveries that could not be built, and request a notification."""
        text = describe(self.env, error)
        if isinstance(error, ServiceError) or not isinstance(error, UserError):
            text = str(misconfigured(self, text))
        endpoint = self.bwt_webhook_endpoint_id.sudo()
        with guarded(self.env) as outcome:
            if endpoint.state == "archived":
                skipped = self.env[SKIP]._count(endpoint, self, records)
                result = RunResult(skipped=skipped)
            else:
                kept = self.env[DELIVERY]._store_not_built(
                    self, endpoint, records, text
                )
                request_notification(endpoint)
                result = RunResult(not_built=len(kept), error=text)
        if outcome.error is None:
            return result
        # Last resort: the delivery could not even be stored.
        _logger.error(
            "%s queued nothing for %s: %s", self, records, text, exc_info=outcome.error
        )
        return RunResult(not_built=len(records) or 1, error=text)

    def _bwt_webhook_request_again(self, delivery):
        """Arguments of `queue_delivery` for a delivery that was not built before.

        A delivery without a record takes the first one that the action's filter finds;
        the others are queued in addition.
        :raise ValidationError: it still can't be built; the message says why
        """
        records = self._bwt_webhook_subject(delivery)
        if records[1:]:
            self._bwt_webhook_queue(delivery.endpoint_id, records[1:])
        try:
            [request] = self._bwt_webhook_requests(records[:1])
        except (ServiceError, UserError) as error:
            raise refused(delivery, describe(self.env, error)) from error
        except RETRIED_BY_ODOO:
            raise
        except Exception as error:  # any error of a computed field
            text = describe(self.env, error)
            raise refused(delivery, str(misconfigured(self, text))) from error
        return request

    def _bwt_webhook_subject(self, delivery):
        """The records that a delivery is built from again."""
        model = self.env[self.model_id.model]
        if not delivery.res_id:
            records = self._bwt_webhook_records({})
            if records is None:
                raise refused(
                    delivery,
                    self.env._(
                        "the filter of its server action matches no record now. "
                        "Cancel the delivery."
                    ),
                )
            return records
        if delivery.res_model != model._name:
            raise refused(
                delivery,
                self.env._(
                    "its server action now runs on another model. Press Reset to "
                    "Draft and write the payload, or cancel the delivery."
                ),
            )
        record = model.browse(delivery.res_id).exists()
        if not record:
            raise refused(
                delivery,
                self.env._(
                    "its record was deleted, so its payload can't be built. Cancel "
                    "the delivery."
                ),
            )
        return record

    def _bwt_webhook_notification(self, result):
        """Notification for the user who pressed a button; False if none did."""
        if self.usage != "ir_actions_server":
            return False  # an automation rule or a schedule: no user to notify
        if not self.binding_model_id and result.is_plain:
            return False
        endpoint = self.bwt_webhook_endpoint_id.sudo()
        values = {"endpoint": endpoint.name, "error": result.error}
        lines = []
        if result.queued or result.is_plain:
            lines.append(
                self.env._(
                    "%(count)s queued for %(endpoint)s.", count=result.queued, **values
                )
            )
        if result.drafts:
            lines.append(
                self.env._(
                    "%(count)s stored as draft: %(endpoint)s is in draft.",
                    count=result.drafts,
                    **values,
                )
            )
        if result.skipped:
            lines.append(
                self.env._(
                    "%(count)s skipped: %(endpoint)s is archived.",
                    count=result.skipped,
                    **values,
                )
            )
        if result.not_built:
            lines.append(
                self.env._(
                    "%(count)s could not be built. %(error)s",
                    count=result.not_built,
                    **values,
                )
            )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success" if result.is_plain else "warning",
                "message": "\n".join(lines),
                "className": "text-prewrap",
                "next": {"type": "ir.actions.act_window_close"},
            },
        }

    def _bwt_webhook_is_neutralized(self):
        """A copied database: its endpoints are in draft, and saving must still work."""
        get_param = self.env["ir.config_parameter"].sudo().get_param
        return bool(get_param("database.is_neutralized"))

    def _bwt_webhook_records(self, eval_context):
        """The given records, else those of its filter; None: nothing to do.

        An empty recordset means one delivery without a record.
        """
        records = eval_context.get("records") or eval_context.get("record")
        model = self.env[self.model_id.model]
        if records:
            return records.filtered("id")._origin or None
        if self.bwt_webhook_without_records != "domain":
            return model.browse()
        return model.search(self._bwt_webhook_filter()) or None

    def _bwt_webhook_filter(self):
        """The filter of the action, evaluated.

        :raise ValidationError: it can't be evaluated; the message says why
        """
        # What Odoo offers to automation rules (`user`, `uid`, `time`, `datetime`,
        # `dateutil`, `model`) and the names that its filter editor writes.
        names = {
            **self.env["ir.actions.actions"]._get_eval_context(self),
            "model": self.env[self.model_id.model],
            "relativedelta": dateutil.relativedelta.relativedelta,
            "context_today": lambda: fields.Date.context_today(self),
            "current_date": fields.Date.to_string(fields.Date.context_today(self)),
            "company_id": self.env.company.id,
            "company_ids": self.env.companies.ids,
            "allowed_company_ids": self.env.companies.ids,
        }
        text = (self.bwt_webhook_domain or "").strip() or "[]"
        try:
            return Domain(safe_eval(text, names))
        except RETRIED_BY_ODOO:
            raise
        except Exception as error:  # any error of the expression
            # safe_eval appends the filter itself to the reason.
            reason = str(error).partition(" while evaluating")[0]
            raise misconfigured(
                self,
                self.env._(
                    "the filter %(filter)s can't be evaluated: %(error)s. Correct it.",
                    filter=text,
                    error=reason,
                ),
            ) from error

    def _bwt_webhook_check_filter(self):
        """Raise when the filter can't be evaluated or searched for.

        :raise ValidationError: the message says why
        """
        domain = self._bwt_webhook_filter()
        with guarded(self.env) as outcome:
            self.env[self.model_id.model].search(domain, limit=1)
        if outcome.error is not None:
            raise misconfigured(
                self,
                self.env._(
                    "the filter %(filter)s can't be used: %(error)s. Correct it.",
                    filter=self.bwt_webhook_domain,
                    error=outcome.error,
                ),
            ) from outcome.error

    def _bwt_webhook_env(self):
        """The superuser environment in the endpoint's company and language."""
        endpoint = self.bwt_webhook_endpoint_id.sudo()
        context = endpoint._outbound_context() if endpoint else {}
        return self.env(user=SUPERUSER_ID, su=True, context=context)

    def _bwt_webhook_requests(self, records):
        """Arguments of `queue_deliveries`: with the current values."""
        endpoint = self.bwt_webhook_endpoint_id.sudo()
        env = self._bwt_webhook_env()
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
        # As Odoo's webhook action names itself; without a number until it is saved.
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
