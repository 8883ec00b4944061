# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Build and decide: from claimed rows to requests that are ready to leave."""

import logging

from psycopg2 import OperationalError

from odoo.exceptions import UserError

from ..services.errors import ServiceError
from .stages import Claimed, Decided, Prepared, Refused

_logger = logging.getLogger(__name__)


class HandlerFailed(Exception):
    """The handler, gate or a hook raised; `request` is what it was asked about."""

    def __init__(self, request, cause):
        super().__init__(str(cause))
        self.request = request
        self.cause = cause


def prepare_batch(deliveries, plan, claimed: list[Claimed]) -> list:
    """Prepared, Decided or Refused for each claimed row, in the same order.

    One savepoint for all; only if something raises that may have written, one by one,
    so that a bad delivery never hurts the others.
    """
    cr = deliveries.env.cr
    deliveries = deliveries.with_context(outbound_plan=plan)
    try:
        with cr.savepoint():
            deliveries = deliveries._prefetch_for_build(plan)
            by_id = {delivery.id: delivery for delivery in deliveries}
            batch = [_prepare(by_id[each.id], each) for each in claimed]
            deliveries.env.flush_all()
            return batch
    except OperationalError:
        raise
    except Exception:
        deliveries.env.invalidate_all(flush=False)
    return [_prepare_alone(deliveries.browse(each.id), plan, each) for each in claimed]


def _prepare_alone(delivery, plan, claimed: Claimed):
    try:
        with delivery.env.cr.savepoint():
            delivery = delivery._prefetch_for_build(plan)
            stage = _prepare(delivery, claimed)
            delivery.env.flush_all()
            return stage
    except OperationalError:
        raise
    except HandlerFailed as error:
        refused = Refused(
            claimed, "handler", describe(delivery.env, error.cause), error.request
        )
    except Exception as error:
        refused = Refused(claimed, "build", describe(delivery.env, error))
    # What the handler or a hook wrote was rolled back: forget it here too.
    delivery.env.invalidate_all(flush=False)
    return refused


def _prepare(delivery, claimed: Claimed):
    try:
        request = delivery._build_outbound_request()
    except (ServiceError, UserError) as error:
        return Refused(claimed, "build", describe(delivery.env, error))
    try:
        outcome = delivery._invoke_handler(request)
    except OperationalError:
        raise
    except Exception as error:
        raise HandlerFailed(request, error) from error
    if outcome.status != "send":
        return Decided(claimed, outcome.request, outcome)
    try:
        wire = delivery._encode_request(outcome.request)
    except (ServiceError, UserError) as error:
        return Refused(claimed, "build", describe(delivery.env, error), outcome.request)
    return Prepared(claimed, outcome.request, outcome, wire)


def describe(env, error: Exception) -> str:
    """The words for a person; the traceback of what nobody foresaw goes to the log."""
    if isinstance(error, ServiceError):
        return env._(error.template, **error.values)  # pylint: disable=W8301
    if isinstance(error, UserError):
        return str(error.args[0])
    _logger.warning("webhook request not built", exc_info=error)
    return f"{type(error).__name__}: {error}"
