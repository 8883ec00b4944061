# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Why nothing moves: what an operator is told when due deliveries lie about."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from odoo.addons.queue_job.jobrunner.runner import PG_ADVISORY_LOCK_ID

from . import runner_check, sql
from .budget import longest_timeout

PATIENCE = timedelta(seconds=30)
LONG_TRANSACTION = timedelta(minutes=10)


@dataclass(frozen=True)
class QueueState:
    """What the database says of the queue at one moment."""

    runner_alive: bool
    lane_at_work: bool
    wake_up_waiting: bool
    jobs_running: int
    oldest_transaction: datetime | None  # naive UTC; of those that hold rows back


def queue_state(cr, endpoint_id: int, now: datetime) -> QueueState:
    """Look at runner, lane, wake-ups and transactions; changes nothing."""
    cr.execute(sql.queue_state(endpoint_id, now, PG_ADVISORY_LOCK_ID))
    return QueueState(*cr.fetchone())


def trouble(
    env,
    state: QueueState,
    oldest_due: datetime | None,
    now: datetime,
    timeout: float,
):
    """What is wrong and what to do, in words; None when all is well.

    :param oldest_due: since when the longest due delivery waits
    :param timeout: of the endpoint, in seconds
    """
    if not oldest_due or now - oldest_due < PATIENCE or state.lane_at_work:
        return None
    minutes = int((now - oldest_due).total_seconds() // 60)
    waited = (
        env._("The oldest due delivery waits for %s minutes. ", minutes)
        if minutes > 1
        else env._("The oldest due delivery waits for a minute. ")
    )
    longest = longest_timeout()
    if longest is not None and timeout > longest:
        return waited + env._(
            "A request may take %(timeout)s seconds, and this server ends a job after "
            "limit_time_real: no request is started that could last that long. Set the "
            "timeout to %(longest)s seconds or less, or raise limit_time_real.",
            timeout=int(timeout),
            longest=int(longest),
        )
    if not state.runner_alive:
        finding = runner_check.why_no_runner(env.cr.dbname)
        return waited + runner_check.summary(env, finding)
    if state.wake_up_waiting and state.jobs_running:
        return waited + env._(
            "Its job waits for room: %s other jobs are running. Give the channel "
            "root.webhooks.outbound a higher capacity, or wait for them.",
            state.jobs_running,
        )
    if state.wake_up_waiting:
        stored = env["ir.config_parameter"].sudo().get_param(runner_check.PARAMETER)
        if finding := runner_check.load(stored):
            return waited + runner_check.summary(env, finding)
        return waited + env._(
            "Its job waits although nothing runs. Check the Job Runner says whether "
            "the runner reaches Odoo."
        )
    held_since = state.oldest_transaction
    if held_since and now - held_since > LONG_TRANSACTION:
        return waited + env._(
            "A transaction is open in the database since %s (UTC) and may hold its "
            "rows. Find it in pg_stat_activity and end it.",
            held_since.strftime("%Y-%m-%d %H:%M"),
        )
    return waited + env._(
        "No job is asked for it. The scheduled action that wakes endpoints does so "
        "every minute: check that it is active and that cron workers run."
    )
