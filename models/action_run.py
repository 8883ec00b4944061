# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Running a server action: it queues deliveries and doesn't fail the user's work."""

import logging
from dataclasses import astuple, dataclass

from odoo import fields
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools.safe_eval import datetime, dateutil, safe_eval, time

from ..lane.batch import describe
from ..lane.clock import utcnow
from ..services.errors import ServiceError
from .action_changes import (
    RecordChanges,
    find_changes,
    pending_values,
    read_old_values,
    runs_on_deletion,
    selects_changes,
    store_record_values,
    watched_names,
)
from .action_guard import RETRIED_BY_ODOO, guarded
from .action_queue import (
    compile_action,
    earlier_changes,
    queue_for_action,
    remove_unchanged,
    store_not_built,
    write_request,
)
from .const import ECHO, ENDPOINT
from .endpoint_alerts import request_notification
from .errors import misconfigured, refused
from .queue_request import read_requests
from .record_payload import values_to_keep

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


class ServerActionRun:
    """One run of a server action of this addon.

    :param action: the `ir.actions.server` record
    :param eval_context: of the run, with `records` or `record` if there are some
    """

    def __init__(self, action, eval_context=None):
        self.action = action
        self.env = action.env
        self.endpoint = action.bwt_webhook_endpoint_id.sudo()
        given = eval_context or {}
        self.given = given.get("records") or given.get("record")
        self.pending = {}
        self.origin = "live"  # of what it queues

    @property
    def model(self):
        return self.env[self.action.model_id.model]

    def run(self):
        """Queue one delivery per record, all in one insert.

        An error of endpoint, action or data is not raised to the user who triggers it,
        unless the action is set to refuse.
        :return: a notification for the user, or False
        """
        # In a copied database endpoints are in draft, and saving must still work.
        get_param = self.env["ir.config_parameter"].sudo().get_param
        if self.endpoint.state != "active" and get_param("database.is_neutralized"):
            _logger.info(
                "neutralized: %s queues nothing for %s", self.action, self.endpoint.code
            )
            return False
        if self._is_echo():
            return False
        if self.action.bwt_webhook_uses_changes:
            self.pending = pending_values(self.action, self.given)
        if self.action.bwt_webhook_failure_mode == "refuse":
            return self._notification(self._run_or_raise())
        return self._notification(self._run_and_store())

    def _is_echo(self):
        """Whether the receiver made the change that triggers the action.

        Another receiver gets what this one responded: endpoints of one receiver have
        the same reference scope.
        """
        action = self.action.sudo()
        if self.env.uid in action.bwt_webhook_skip_user_ids.ids:
            return True
        known = self.env.context.get(ECHO), self.env.cr.postcommit.data.get(ECHO)
        source_id = known[0] or known[1]
        if not source_id or not action.bwt_webhook_skip_answers:
            return False
        source = self.endpoint.browse(source_id).exists()
        return source.reference_scope == self.endpoint.reference_scope

    def records(self):
        """The given records, else those of its filter; None: nothing to do.

        An empty recordset means one delivery without a record.
        """
        if self.given:
            return self.given.filtered("id")._origin or None
        if self.action.bwt_webhook_without_records != "domain":
            return self.model.browse()
        return self.model.search(filter_of(self.action)) or None

    def _run_or_raise(self):
        """Queue on an active endpoint; raises every error."""
        records, changes = self._changed(self.records())
        if records is None:
            return RunResult()
        self.endpoint.ensure_one()._check_queueable()
        return self._queue(self.endpoint, records, changes)

    def _run_and_store(self):
        """Queue, store as draft, skip, or store as an error; raises nothing itself.

        Errors of the user's changes, and those that Odoo retries, are raised.
        """
        with guarded(self.env) as outcome:
            records = self.records()
            result = self._dispatch(records)
        if outcome.error is None:
            return result
        # Something failed: find out what, and queue the rest.
        with guarded(self.env) as outcome:
            records = self.records()
        if outcome.error is not None:
            return self._store_error(self.model, outcome.error)
        with guarded(self.env) as outcome:
            compile_action(self.action)
        if outcome.error is not None:
            error = outcome.error
            with guarded(self.env) as outcome:
                changed, _changes = self._changed(records)
            if outcome.error is None:
                records = changed
            if records is None:
                return RunResult()
            return self._store_error(records, error)
        return self._run_parts(records)

    def _run_parts(self, records):
        """Split in halves until the failing record is alone; the rest is queued."""
        with guarded(self.env) as outcome:
            result = self._dispatch(records)
        if outcome.error is None:
            return result
        if len(records) < 2:
            return self._store_error(records, outcome.error)
        half = len(records) // 2
        first = self._run_parts(records[:half])
        return first.plus(self._run_parts(records[half:]))

    def _dispatch(self, records):
        """Do what the state of the endpoint requires; None: nothing to do."""
        records, changes = self._changed(records)
        if records is None:
            return RunResult()
        endpoint = self.endpoint
        if endpoint.state != "active":
            request_notification(endpoint)
        if endpoint.state == "archived":
            return RunResult(skipped=self._count_skipped(records))
        return self._queue(endpoint, records, changes)

    def _count_skipped(self, records):
        """Count what the archived endpoint doesn't get; returns how many."""
        skips = self.env[f"{ENDPOINT}.skip"]
        return skips._count(self.endpoint, self.action, records)

    def _changed(self, records):
        """Those of the records that have a change to send, and what changed.

        A delivery that an earlier run of this transaction queued is removed if its
        record is again as it was before.
        :return: the records, None if none is left; id -> `RecordChanges`
        """
        action = self.action
        if not records or not action.bwt_webhook_uses_changes:
            return records, {}
        earlier = earlier_changes(action, self.endpoint, records)
        known = {each: old for each, (_delivery, old) in earlier.items()}
        changes = find_changes(action, records, known, self.pending)
        if not selects_changes(action):
            return records, changes
        watched = watched_names(action)
        sent = records.filtered(lambda each: changes[each.id].is_sent(watched))
        removed = [earlier[each][0] for each in (records - sent).ids if each in earlier]
        if removed:
            remove_unchanged(self.endpoint, removed)
        return sent or None, changes

    def _queue(self, endpoint, records, changes):
        try:
            requests = compile_action(self.action)(records, changes)
        except ServiceError as error:
            raise misconfigured(self.action, error) from error
        deliveries = queue_for_action(self.action, endpoint, requests, self.origin)
        self._store_values(deliveries, records, changes)
        if endpoint.state == "draft":
            return RunResult(drafts=len(deliveries))
        return RunResult(queued=len(deliveries))

    def _store_values(self, deliveries, records, changes):
        """Store what can't be read from the records later."""
        deletes = bool(records) and runs_on_deletion(self.action)
        if not changes and not deletes:
            return
        values = [{} for _delivery in deliveries]
        for each, record_id in zip(values, deliveries.mapped("res_id"), strict=True):
            if record_id in changes:
                each["old"] = changes[record_id].old.to_dict()
        if deletes:
            records = records.browse(deliveries.mapped("res_id"))
            kept = values_to_keep(self.endpoint, records)
            for each, deleted in zip(values, kept, strict=True):
                each["deleted"] = deleted
        store_record_values(deliveries, values)

    def _store_error(self, records, error):
        """Store deliveries that could not be built, and request a notification."""
        text = describe(self.env, error)
        if isinstance(error, ServiceError) or not isinstance(error, UserError):
            text = str(misconfigured(self.action, text))
        endpoint = self.endpoint
        with guarded(self.env) as outcome:
            if endpoint.state == "archived":
                skipped = self._count_skipped(records)
                result = RunResult(skipped=skipped)
            else:
                stored = store_not_built(
                    self.action, endpoint, records, text, self.origin
                )
                self._store_old_values(stored, records)
                request_notification(endpoint)
                result = RunResult(not_built=len(stored), error=text)
        if outcome.error is None:
            return result
        # Last resort: the delivery could not even be stored.
        _logger.error(
            "%s queued nothing for %s: %s",
            self.action,
            records,
            text,
            exc_info=outcome.error,
        )
        return RunResult(not_built=len(records) or 1, error=text)

    def _store_old_values(self, deliveries, records):
        """Store the values before the change, for when a delivery is built again."""
        with guarded(self.env) as outcome:
            _records, changes = self._changed(records)
        if outcome.error is None and changes:
            self._store_values(deliveries, records.browse(), changes)

    def _notification(self, result):
        """Notification for the user who pressed a button; False if none did."""
        if self.action.usage != "ir_actions_server":
            return False  # an automation rule or a schedule: no user to notify
        if not self.action.binding_model_id and result.is_plain:
            return False
        values = {"endpoint": self.endpoint.name, "error": result.error}
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

    # Build again

    def request_again(self, delivery):
        """Arguments of `queue_delivery` for a delivery that was not built before.

        A delivery without a record takes the first one that the action's filter finds;
        the others are queued in addition.
        :raise ValidationError: it still can't be built; the message says why
        """
        records = self._subject(delivery)
        if records[1:]:
            self._queue(delivery.endpoint_id, records[1:], {})
        try:
            old = read_old_values(self.env, delivery.ids).get(delivery.id)
            changes = {
                each.id: RecordChanges(each.sudo(), old)
                for each in records[:1]
                if old is not None
            }
            [request] = compile_action(self.action)(records[:1], changes)
        except (ServiceError, UserError) as error:
            raise refused(delivery, describe(self.env, error)) from error
        except RETRIED_BY_ODOO:
            raise
        except Exception as error:  # any error of a computed field
            text = describe(self.env, error)
            raise refused(delivery, str(misconfigured(self.action, text))) from error
        return request

    def _subject(self, delivery):
        """The records that a delivery is built from again."""
        model = self.model
        if not delivery.res_id:
            records = self.records()
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


def build_again(deliveries):
    """Build those deliveries that their server action could not build before.

    :raise ValidationError: one still can't be built
    """
    for delivery in deliveries.filtered("needs_build"):
        action = delivery.server_action_id.sudo()
        if not action:
            raise refused(
                delivery,
                delivery.env._(
                    "it was never built, and the server action that queued it was "
                    "deleted. Press Reset to Draft and write the payload, or "
                    "cancel it."
                ),
            )
        request = ServerActionRun(action).request_again(delivery)
        [requested] = read_requests(delivery.endpoint_id, [request], utcnow())
        vals = {name: requested.vals[name] for name in ("res_model", "res_id")}
        write_request(delivery, requested, vals)


def filter_of(action):
    """The filter of the action, evaluated.

    :raise ValidationError: it can't be evaluated; the message says why
    """
    # What Odoo offers to automation rules: `user`, `model` and the plain ones.
    names = {
        **action.env["ir.actions.actions"]._get_eval_context(action),
        "model": action.env[action.model_id.model],
    }
    return evaluate_filter(action, action.bwt_webhook_domain, names)


def evaluate_filter(action, text, names=None):
    """A filter for records of the action's model, evaluated.

    :param names: what it may use beside plain values. Who writes server actions has all
        rights; the filters of others get no record, by which they could have them too.
    :raise ValidationError: it can't be evaluated; the message says why
    """
    # With the names that the filter editor of Odoo writes.
    names = {
        "uid": action.env.uid,
        "time": time,
        "datetime": datetime,
        "dateutil": dateutil,
        "relativedelta": dateutil.relativedelta.relativedelta,
        "context_today": lambda: fields.Date.context_today(action),
        "current_date": fields.Date.to_string(fields.Date.context_today(action)),
        "company_id": action.env.company.id,
        "company_ids": action.env.companies.ids,
        "allowed_company_ids": action.env.companies.ids,
        **(names or {}),
    }
    text = (text or "").strip() or "[]"
    try:
        domain = Domain(safe_eval(text, names))
        domain.validate(action.env[action.model_id.model])
        return domain
    except RETRIED_BY_ODOO:
        raise
    except Exception as error:  # any error of the expression
        # safe_eval appends the filter itself to the reason.
        reason = str(error).partition(" while evaluating")[0]
        raise misconfigured(
            action,
            action.env._(
                "the filter %(filter)s can't be evaluated: %(error)s. Correct it.",
                filter=text,
                error=reason,
            ),
        ) from error
