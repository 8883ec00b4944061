# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Build and decide: from claimed rows to requests that are ready to leave."""

import logging

from odoo.exceptions import UserError

from ..services.errors import ServiceError
from ..services.outcome import HandlerOutcome
from ..services.shortage import Shortage
from .savepoint import FOREIGN_ERRORS, Savepoint, SwallowedError, lost_race
from .size import LARGE, check_size
from .stages import Claimed, Decided, Prepared, Refused

_logger = logging.getLogger(__name__)

TRIES = 3  # of a delivery whose handler loses against another transaction


class HandlerFailed(Exception):
    """The handler, gate or a hook raised; `request` is what it was asked about."""

    def __init__(self, request, cause):
        super().__init__(str(cause))
        self.request = request
        self.cause = cause


def prepare_batch(
    deliveries, plan, claimed: list[Claimed], limit=None, tries=TRIES
) -> list:
    """Prepared, Decided or Refused for each claimed row, in the same order.

    One savepoint for all; only if something raises that may have written, one by one,
    so that a bad delivery never hurts the others.

    :param limit: `BatchLimit`; once it is reached the rest is left out, untouched
    :param tries: how often a delivery is built that loses against another transaction;
        0 raises the error to a caller that repeats its whole transaction
    :raise Shortage: this process lacks what building the first one needs
    """
    cr = deliveries.env.cr
    deliveries = deliveries.with_context(outbound_plan=plan)
    if len(claimed) > 1:
        try:
            return _prepare_together(deliveries, plan, claimed, limit)
        except FOREIGN_ERRORS:
            if cr.closed:
                raise
            deliveries.env.invalidate_all(flush=False)
    return _prepare_one_by_one(deliveries, plan, claimed, limit, tries)


def _prepare_together(deliveries, plan, claimed, limit):
    with Savepoint(deliveries.env.cr) as savepoint:
        deliveries = deliveries._prefetch_for_build(plan)
        by_id = {delivery.id: delivery for delivery in deliveries}
        batch = []
        for each in claimed:
            batch.append(_prepare(by_id[each.id], each, savepoint))
            savepoint.check()
            if limit and limit.add(batch[-1]):
                break
        return batch


def _prepare_one_by_one(deliveries, plan, claimed, limit, tries):
    if limit:
        limit.restart()
    batch = []
    for each in claimed:
        try:
            stage = _prepare_alone(deliveries.browse(each.id), plan, each, tries)
        except Shortage as shortage:
            if not batch:
                shortage.delivery_id = each.id
                raise
            break  # what is built is sent first, and frees what it holds
        batch.append(stage)
        if limit and limit.add(stage):
            break
    return batch


def _prepare_alone(delivery, plan, claimed: Claimed, tries: int):
    request = race = None
    for _try in range(max(tries, 1)):
        try:
            with Savepoint(delivery.env.cr) as savepoint:
                stage = _prepare(delivery._prefetch_for_build(plan), claimed, savepoint)
                if isinstance(stage, Refused):
                    savepoint.undo()
                return stage
        except FOREIGN_ERRORS as error:
            if delivery.env.cr.closed:
                raise
            # What the handler or a hook wrote was rolled back: forget it here too.
            delivery.env.invalidate_all(flush=False)
            is_handler = isinstance(error, HandlerFailed)
            shortage = None if is_handler else Shortage.of(error)
            if shortage:
                raise shortage from error
            request = error.request if is_handler else None
            race = lost_race(error)
            if race is None:
                cause = error.cause if is_handler else error
                text = describe(delivery.env, cause)
                kind = "handler" if is_handler else "build"
                return Refused(claimed, kind, text, request)
            if not tries:
                raise race from None
    note = delivery.env._(
        "Other transactions changed the same records; the last of %(count)s tries "
        "ended with: %(error)s",
        count=tries,
        error=str(race).strip(),
    )
    return Decided(claimed, request, HandlerOutcome("retry", request, note=note))


def _prepare(delivery, claimed: Claimed, savepoint: Savepoint):
    try:
        request = delivery._build_outbound_request()
    except (ServiceError, UserError) as error:
        return Refused(claimed, "build", describe(delivery.env, error))
    savepoint.check()
    try:
        outcome = delivery._invoke_handler(request)
        savepoint.check()
    except FOREIGN_ERRORS as error:
        if delivery.env.cr.closed:
            raise
        cause = savepoint.cause_of(error)
        raise HandlerFailed(request, cause) from cause
    if outcome.status != "send":
        return Decided(claimed, outcome.request, outcome)
    try:
        wire = delivery._encode_request(outcome.request)
    except (ServiceError, UserError) as error:
        return Refused(claimed, "build", describe(delivery.env, error), outcome.request)
    try:
        check_size(len(wire.body or b""))
    except ServiceError as error:
        # Without its request: nothing so large is stored on an attempt.
        return Refused(claimed, "build", describe(delivery.env, error))
    if claimed.size > LARGE:
        delivery.invalidate_recordset(["payload_json"], flush=False)
    return Prepared(claimed, outcome.request, outcome, wire)


def describe(env, error: Exception) -> str:
    """The message for people; the traceback of what nobody foresaw goes to the log."""
    if isinstance(error, SwallowedError):
        _logger.warning("a database error was swallowed", exc_info=error.__cause__)
    if isinstance(error, ServiceError):
        return env._(error.template, **error.values)  # pylint: disable=W8301
    if isinstance(error, UserError):
        return str(error.args[0])
    _logger.warning("code of another addon failed", exc_info=error)
    return f"{type(error).__name__}: {error}"
