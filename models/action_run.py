# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Running a server action: it queues deliveries and doesn't fail the user's work."""

import logging
import sys
from contextlib import contextmanager
from dataclasses import astuple, dataclass

from psycopg2 import errors as pg_errors

from odoo import fields
from odoo.exceptions import ConcurrencyError, UserError
from odoo.fields import Domain
from odoo.tools.safe_eval import dateutil, safe_eval

from ..lane.batch import describe
from ..lane.clock import utcnow
from ..services.errors import ServiceError
from .action_queue import (
    compile_action,
    queue_for_action,
    store_not_built,
    write_request,
)
from .const import ENDPOINT
from .endpoint_alerts import request_notification
from .errors import misconfigured, refused
from .queue_request import read_requests

_logger = logging.getLogger(__name__)

# Odoo retries the whole request after one of these, and after no other error.
RETRIED_BY_ODOO = (
    pg_errors.SerializationFailure,
    pg_errors.DeadlockDetected,
    pg_errors.LockNotAvailable,
    ConcurrencyError,
)


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
        if self.action.bwt_webhook_failure_mode == "refuse":
            return self._notification(self._run_or_raise())
        return self._notification(self._run_and_store())

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
        records = self.records()
        if records is None:
            return RunResult()
        self.endpoint.ensure_one()._check_queueable()
        return self._queue(self.endpoint, records)

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
            return self._store_error(records, outcome.error)
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
        if records is None:
            return RunResult()
        endpoint = self.endpoint
        if endpoint.state != "active":
            request_notification(endpoint)
        if endpoint.state == "archived":
            return RunResult(skipped=self._count_skipped(records))
        return self._queue(endpoint, records)

    def _count_skipped(self, records):
        """Count what the archived endpoint doesn't get; returns how many."""
        skips = self.env[f"{ENDPOINT}.skip"]
        return skips._count(self.endpoint, self.action, records)

    def _queue(self, endpoint, records):
        try:
            requests = compile_action(self.action)(records)
        except ServiceError as error:
            raise misconfigured(self.action, error) from error
        deliveries = queue_for_action(self.action, endpoint, requests)
        if endpoint.state == "draft":
            return RunResult(drafts=len(deliveries))
        return RunResult(queued=len(deliveries))

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
                stored = store_not_built(self.action, endpoint, records, text)
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
            self._queue(delivery.endpoint_id, records[1:])
        try:
            [request] = compile_action(self.action)(records[:1])
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
    # What Odoo offers to automation rules (`user`, `uid`, `time`, `datetime`,
    # `dateutil`, `model`) and the names that its filter editor writes.
    names = {
        **action.env["ir.actions.actions"]._get_eval_context(action),
        "model": action.env[action.model_id.model],
        "relativedelta": dateutil.relativedelta.relativedelta,
        "context_today": lambda: fields.Date.context_today(action),
        "current_date": fields.Date.to_string(fields.Date.context_today(action)),
        "company_id": action.env.company.id,
        "company_ids": action.env.companies.ids,
        "allowed_company_ids": action.env.companies.ids,
    }
    text = (action.bwt_webhook_domain or "").strip() or "[]"
    try:
        return Domain(safe_eval(text, names))
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


# The guard


class Outcome:
    """The error of the guarded block; None if it succeeded."""

    error = None


@contextmanager
def guarded(env):
    """Undo what the block did if it raises, and let the caller continue.

    Earlier writes of the caller are flushed first, outside the guard: their errors are
    raised. After a failure the database and the caller's cache are as they were before
    the block, including values of new records and pending values.
    :return: an `Outcome`, to be read after the block
    :raise: an error after which Odoo retries the request, also if it was wrapped
    """
    env.flush_all()
    outcome, marks = Outcome(), _PendingWork(env.transaction)
    outer = sys.exc_info()[1]  # the caller may be handling another error
    try:
        # Without `flush`: it would run the caller's precommit hooks now, and clear
        # the caller's cache after a failure.
        with env.cr.savepoint(flush=False):
            yield outcome
            env.flush_all()
    except Exception as error:
        if env.cr.connection.closed:
            raise
        retried = _retried_by_odoo(error, outer)
        if retried is not None:
            raise retried from None
        marks.restore(env)
        outcome.error = error


def _retried_by_odoo(error, outer):
    """The error in the chain of `error` that Odoo retries; None without one."""
    seen = set()
    while error is not None and error is not outer and id(error) not in seen:
        if isinstance(error, RETRIED_BY_ODOO):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


class _PendingWork:
    """Pending computations and writes of a transaction, to restore.

    After `flush_all` only computations of new records are left.
    """

    def __init__(self, transaction):
        self.dirty = {field: set(ids) for field, ids in transaction.field_dirty.items()}
        self.tocompute = {
            field: list(ids) for field, ids in transaction.tocompute.items() if ids
        }

    def restore(self, env):
        """Drop cached values that the database has, read or written since."""
        transaction = env.transaction
        for field, ids in list(transaction.field_dirty.items()):
            kept = self.dirty.get(field, set())
            for record_id in [each for each in ids if each not in kept]:
                ids.discard(record_id)
            if not ids:
                del transaction.field_dirty[field]
        for field, ids in transaction.tocompute.items():
            for record_id in set(ids) - set(self.tocompute.get(field, ())):
                ids.discard(record_id)
        for field, ids in self.tocompute.items():
            transaction.tocompute[field].update(ids)
        # Stored values of saved records are read again; new records and values that
        # are not stored exist only in the cache and are kept.
        for field in list(transaction.field_data):
            if field.store:
                kept = self.dirty.get(field, set())
                stored = [
                    each
                    for each in field._get_all_cache_ids(env)
                    if isinstance(each, int) and each not in kept
                ]
                field._invalidate_cache(env, stored)
