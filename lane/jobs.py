# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Wake-ups: jobs asked for in the transaction of the work that they are for.

Both commit or neither does, so no wake-up is ever lost and none comes too early.
"""

from datetime import datetime, timedelta

from odoo import SUPERUSER_ID

from odoo.addons.queue_job.job import Job

from . import sql
from .clock import utcnow

WATCHDOG_DELAY = timedelta(seconds=5)


def wake(endpoint, eta: datetime | None = None, *, transaction: str | None = None):
    """Ask for a lane of `endpoint`, at `eta` (naive UTC) or at once.

    :param transaction: this transaction's number, where the caller knows it already

    A burst in one transaction makes one job. The key is never shared between
    transactions: whoever sees another's pending wake-up, leaves out its own and commits
    only after that job has looked would leave its delivery lying.
    """
    if transaction is None:
        endpoint.env.cr.execute(sql.transaction_id())
        transaction = endpoint.env.cr.fetchone()[0]
    moment = int(eta.timestamp()) if eta else "now"
    _ask(endpoint, f"{sql.WAKE_KEY}{endpoint.id}:{transaction}:{moment}", eta)


def watchdog(endpoint, duty, job_uuid: str) -> str:
    """Ask for the lane that comes if this one is killed; gives its job's uuid.

    queue_job looks for dead jobs up to a minute apart; this one fires in seconds. It
    stands between a commit and its first request, so nothing is looked up for it: not
    the endpoint (`duty` tells), nor a job with the same key, which can't be there.
    """
    plain = _plain(endpoint, duty.company_id)
    job = Job(
        plain.run_lane,
        eta=utcnow() + WATCHDOG_DELAY,
        identity_key=f"{sql.WATCH_KEY}{endpoint.id}:{job_uuid}",
        max_retries=0,
        description=_description(duty.code),
    )
    job.store()
    return job.uuid


def call_for_more(endpoint, job_uuid: str):
    """Ask for one more lane beside the one of this job; a take-over spares it."""
    _ask(endpoint, f"{sql.MORE_KEY}{endpoint.id}:{job_uuid}", None)


def wake_for_due(endpoint, not_before: datetime | None = None):
    """Leave one wake-up at the earliest date that something is due, if any.

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
        max_retries=0,  # a kill counts as a retry: it must not use up a bound
        description=_description(known.code),
    ).run_lane()
    return job.uuid


def _plain(endpoint, company_id: int):
    """Superuser and the company for the job's list: nothing of the caller's context."""
    context = {"allowed_company_ids": [company_id], "tracking_disable": True}
    return endpoint.with_user(SUPERUSER_ID).with_context(context)  # pylint: disable=W8121


def _description(code: str) -> str:
    return f"Send webhooks: {code}"
