# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Wake-ups: jobs that are created in the transaction that queues their deliveries.

Both commit or neither does, so no wake-up is lost and none starts too early.
"""

from datetime import datetime, timedelta

from odoo import SUPERUSER_ID

from odoo.addons.queue_job.job import Job

from . import job_sql, sql
from .clock import utcnow

WATCHDOG_DELAY = timedelta(seconds=5)


def wake(endpoint, eta: datetime | None = None, *, transaction: str | None = None):
    """Request a lane for `endpoint`, at `eta` (naive UTC) or immediately.

    :param transaction: this transaction's number, if the caller knows it

    Any number of deliveries in one transaction make one job. The key is never shared
    between transactions: one that relied on another's pending wake-up, and committed
    only after that job had checked the queue, would leave its delivery unsent.
    """
    if transaction is None:
        endpoint.env.cr.execute(sql.transaction_id())
        transaction = endpoint.env.cr.fetchone()[0]
    moment = int(eta.timestamp()) if eta else "now"
    _ask(endpoint, f"{job_sql.WAKE_KEY}{endpoint.id}:{transaction}:{moment}", eta)


def watchdog(endpoint, duty, job_uuid: str) -> str:
    """Request the lane that runs if this one is killed; returns its job's uuid.

    queue_job checks for dead jobs up to a minute apart; this one starts within seconds.
    It is created between a commit and the first request, so it makes no query: neither
    for the endpoint (`duty` has it) nor for a job with the same key (there is none).
    """
    plain = _plain(endpoint, duty.company_id)
    job = Job(
        plain.run_lane,
        eta=utcnow() + WATCHDOG_DELAY,
        identity_key=f"{job_sql.WATCH_KEY}{endpoint.id}:{job_uuid}",
        max_retries=0,
        description=_description(duty.code),
    )
    job.store()
    return job.uuid


def request_another_lane(endpoint, job_uuid: str):
    """Request one more lane beside this job's; it is not superseded as a wake-up."""
    _ask(endpoint, f"{job_sql.MORE_KEY}{endpoint.id}:{job_uuid}", None)


def wake_for_due(endpoint, not_before: datetime | None = None):
    """Create one wake-up for the earliest due delivery, if there is one.

    :param not_before: naive UTC; nothing can be sent earlier (circuit, rate limit)
    :return: when, or None
    """
    plain = endpoint.sudo()
    if plain.state != "active" or plain.is_paused:
        return None
    endpoint.env.flush_all()
    endpoint.env.cr.execute(sql.next_due(endpoint.id, plain.ordering != "none"))
    row = endpoint.env.cr.fetchone()
    if not row or not row[0]:
        return None
    due = max(row[0], not_before) if not_before else row[0]
    wake(endpoint, eta=due if due > utcnow() else None)
    return due


def _ask(endpoint, identity_key, eta) -> str:
    known = endpoint.sudo()
    plain = _plain(endpoint, known.company_id.id)
    job = plain.with_delay(
        eta=eta,
        identity_key=identity_key,
        max_retries=0,  # a kill counts as a retry and must not reach a limit
        description=_description(known.code),
    ).run_lane()
    return job.uuid


def _plain(endpoint, company_id: int):
    """As superuser, with only the company in the context: nothing of the caller's."""
    context = {"allowed_company_ids": [company_id], "tracking_disable": True}
    return endpoint.with_user(SUPERUSER_ID).with_context(context)  # pylint: disable=W8121


def _description(code: str) -> str:
    return f"Send webhooks: {code}"
