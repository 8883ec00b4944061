# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Every statement on queue_job's tables, and every name and state in them.

Functions return an ``SQL`` object; only `jobs.py` executes them. What they rely on is
checked by tests/orm/test_queue_job_contract.py.
"""

from odoo.tools import SQL

from .locks import SLOTS

# Model -> method of the jobs that continue where a killed one ended.
METHODS = {
    "bwt.webhook.outbound.endpoint": "run_lane",
    "bwt.webhook.outbound.run": "run_batch",
    "bwt.webhook.outbound.reconciliation": "run_check",
    "bwt.webhook.outbound.forget": "run_forget",
    "bwt.webhook.outbound.dry.run": "run_dry_run",
}
START_LOST_AFTER = 5  # seconds that a job is enqueued; queue_job itself waits for 10

# Identity keys of our jobs: what a job is for, its endpoint's id, and what makes it
# unique. `lane_job_due` and the index match their common start.


def wake_up_key(endpoint_id: int, transaction: str, moment) -> str:
    """A lane for work that this transaction queued, due at `moment`."""
    return f"bwt_webhook_outbound:lane:{endpoint_id}:{transaction}:{moment}"


def watchdog_key(endpoint_id: int, job_uuid: str) -> str:
    """The lane that runs if the one of this job is killed."""
    return f"bwt_webhook_outbound:watch:{endpoint_id}:{job_uuid}"


def another_lane_key(endpoint_id: int, job_uuid: str) -> str:
    """One more lane beside the one of this job."""
    return f"bwt_webhook_outbound:more:{endpoint_id}:{job_uuid}"


def notification_key(endpoint_id: int, transaction: str) -> str:
    """A notification on what this transaction could not queue."""
    return f"bwt_webhook_outbound:notify:{endpoint_id}:{transaction}"


def run_key(run_id: int) -> str:
    """The next batch of a run. Not a job of an endpoint, hence another beginning."""
    return f"bwt_webhook_run:{run_id}"


def check_key(reconciliation_id: int) -> str:
    """The next step of a reconciliation's check."""
    return f"bwt_webhook_check:{reconciliation_id}"


def checks_without_job() -> SQL:
    """Reconciliations that check, without a job that waits."""
    return SQL(
        """SELECT r.id FROM bwt_webhook_outbound_reconciliation r
        WHERE r.state = 'checking' AND NOT EXISTS (
            SELECT 1 FROM queue_job j WHERE j.state IN ('pending', 'enqueued')
            AND j.identity_key = 'bwt_webhook_check:' || r.id
        )"""
    )


def forget_key(forget_id: int) -> str:
    """The next step of a search for the data of a contact, or of its deletion."""
    return f"bwt_webhook_forget:{forget_id}"


def forgets_without_job() -> SQL:
    """Those that search or delete, without a job that waits."""
    return SQL(
        """SELECT r.id FROM bwt_webhook_outbound_forget r
        WHERE r.state IN ('searching', 'deleting') AND NOT EXISTS (
            SELECT 1 FROM queue_job j WHERE j.state IN ('pending', 'enqueued')
            AND j.identity_key = 'bwt_webhook_forget:' || r.id
        )"""
    )


def dry_run_key(dry_run_id: int) -> str:
    """The job of a dry run."""
    return f"bwt_webhook_dry_run:{dry_run_id}"


def dry_runs_without_job() -> SQL:
    """Dry runs that wait or run, without a job that waits or is started."""
    # A started job of a killed worker is set back to pending.
    return SQL(
        """SELECT r.id FROM bwt_webhook_outbound_dry_run r
        WHERE r.state IN ('waiting', 'running') AND NOT EXISTS (
            SELECT 1 FROM queue_job j
            WHERE j.state IN ('pending', 'enqueued', 'started')
            AND j.identity_key = 'bwt_webhook_dry_run:' || r.id
        )"""
    )


def count_with_texts(patterns: list[str]) -> SQL:
    """How many jobs of this addon have one of these patterns in a text."""
    return SQL(
        """SELECT count(*) FROM queue_job
        WHERE channel LIKE 'root.webhooks%%' AND lower(concat_ws(
            E'\\n', name, result, exc_name, exc_message, exc_info
        )) LIKE ANY(%s)""",
        patterns,
    )


def hasten(identity_key: str, eta) -> SQL:
    """Start a waiting job at this time, if it would start later."""
    return SQL(
        """UPDATE queue_job SET eta = %(eta)s WHERE id IN (
            SELECT id FROM queue_job
            WHERE state = 'pending' AND identity_key = %(key)s AND eta > %(eta)s
            FOR NO KEY UPDATE SKIP LOCKED
        )""",
        key=identity_key,
        eta=eta,
    )


def runs_without_job(latest) -> SQL:
    """Running runs without a job that waits and starts before `latest`."""
    # Not whether one is started: its worker may be dead. If it is not, it finds this
    # job when it requests the next one.
    return SQL(
        """SELECT r.id FROM bwt_webhook_outbound_run r
        WHERE r.state = 'running' AND NOT EXISTS (
            SELECT 1 FROM queue_job j WHERE j.state IN ('pending', 'enqueued')
            AND j.identity_key = 'bwt_webhook_run:' || r.id
            AND (j.eta IS NULL OR j.eta <= %s)
        )""",
        latest,
    )


def wake_up_index() -> SQL:
    """The index by which `supersede_wake_ups` finds the wake-ups of an endpoint."""
    return SQL(
        """CREATE INDEX IF NOT EXISTS bwt_webhook_outbound_wake_index
        ON queue_job (identity_key text_pattern_ops)
        WHERE state = 'pending' AND identity_key LIKE 'bwt_webhook_outbound:%%'"""
    )


def drop_wake_up_index() -> SQL:
    return SQL("DROP INDEX IF EXISTS bwt_webhook_outbound_wake_index")


def cancel_all(reason: str) -> SQL:
    """Cancel every unfinished job of ours."""
    return SQL(
        """UPDATE queue_job SET state = 'cancelled', result = %s,
            date_cancelled = now() AT TIME ZONE 'UTC'
        WHERE model_name = ANY(%s) AND state NOT IN ('done', 'cancelled', 'failed')""",
        reason,
        list(METHODS),
    )


def started_lane_job(job_uuid: str, endpoint_id: int, locks_slot: SQL) -> SQL:
    """A row if queue_job currently runs this lane; its endpoint may be deleted.

    :param locks_slot: an expression that locks a slot of `e.id`
    """
    return SQL(
        """SELECT e.id, e.company_id, e.code,
            CASE WHEN e.ordering = 'endpoint' THEN 1 ELSE e.parallel_lanes END,
            COALESCE(j.retry, 0) > 0, COALESCE(h.ordering_in_force, 'none'), p.lang,
            %s
        FROM queue_job j LEFT JOIN bwt_webhook_outbound_endpoint e ON e.id = %s
        LEFT JOIN res_company c ON c.id = e.company_id
        LEFT JOIN res_partner p ON p.id = c.partner_id
        LEFT JOIN bwt_webhook_outbound_endpoint_health h ON h.endpoint_id = e.id
        WHERE j.uuid = %s AND j.method_name = 'run_lane' AND j.state = 'started'""",
        locks_slot,
        endpoint_id,
        job_uuid,
    )


def not_waiting_for_disk(statement: SQL) -> SQL:
    """This statement; the commit of its transaction returns at once.

    For what a crash of PostgreSQL may undo: wake-ups and a watchdog that are as they
    were a second before wake a lane too often. The first request waits for this commit;
    that of the claim, before it, writes all of them to disk.
    """
    return SQL("SET LOCAL synchronous_commit = off; %s", statement)


def supersede_wake_ups(endpoint_id: int, now, reason: str) -> SQL:
    """Close the pending wake-ups of an endpoint: their deliveries are visible now.

    Those for a later time, which no job has run, are deleted: each change of a record
    with a settle window requests one, and a closed job would stay for 30 days.
    """
    # SKIP LOCKED: the runner may be enqueueing one; it then finds no slot and ends.
    # The first LIKE names the partial index, the second the endpoint.
    # `retry`: its lane was killed, and it was set back to pending.
    return SQL(
        """WITH found AS (
            SELECT id, eta IS NOT NULL AND COALESCE(retry, 0) = 0 AS is_scheduled
            FROM queue_job
            WHERE state = 'pending' AND identity_key LIKE 'bwt_webhook_outbound:%%'
            AND identity_key LIKE %(key)s
            FOR UPDATE SKIP LOCKED
        ), deleted AS (
            DELETE FROM queue_job WHERE id IN (SELECT id FROM found WHERE is_scheduled)
            RETURNING false
        ), closed AS (
            UPDATE queue_job SET state = 'done', date_done = %(now)s, result = %(why)s
            WHERE id IN (SELECT id FROM found WHERE NOT is_scheduled)
            RETURNING COALESCE(retry, 0) > 0
        ) SELECT * FROM closed UNION ALL SELECT * FROM deleted""",
        now=now,
        why=reason,
        # `_` matches any character: unescaped, the index would be read from "bwt" on.
        key=f"bwt_webhook_outbound:lane:{endpoint_id}:%".replace("_", r"\_"),
    )


# Of a job that is yet to run; all other columns are those of the job that is copied.
_PENDING = {
    "state": "pending",
    "retry": 0,
    "max_retries": 0,
    **dict.fromkeys(
        (
            *("date_enqueued", "date_started", "date_done", "date_cancelled"),
            *("exec_time", "worker_pid", "graph_uuid", "result"),
            *("exc_name", "exc_message", "exc_info"),
        )
    ),
}


def copy_job(columns, job_uuid: str, uuid: str, identity_key: str, eta, now) -> SQL:
    """Insert a pending job that does the same as this one, at another time.

    :param columns: all of the table
    """
    values = _PENDING | {
        "uuid": uuid,
        "identity_key": identity_key,
        "eta": eta,
        "date_created": now,
    }
    names = [name for name in columns if name != "id"]
    return SQL(
        "INSERT INTO queue_job (%s) SELECT %s FROM queue_job WHERE uuid = %s",
        SQL(", ").join(map(SQL.identifier, names)),
        SQL(", ").join(
            SQL("%s", values[name]) if name in values else SQL.identifier(name)
            for name in names
        ),
        job_uuid,
    )


def push_watchdog(watchdog_uuid: str, job_uuid: str, eta) -> SQL:
    """Move a lane's own wake-up further into the future.

    One row: whether it was moved (not if it has started), and whether the job of the
    lane itself exists and is not locked: a lock means that someone waits for its end.
    """
    # SKIP LOCKED: a transaction that deletes both jobs holds the watchdog's row and
    # waits for queue_job's lock on the other one, which ends with this lane. PostgreSQL
    # sees no deadlock, since that lock is another connection's.
    return SQL(
        """WITH free AS MATERIALIZED (
            SELECT id, uuid FROM queue_job WHERE uuid IN (%(watchdog)s, %(job)s)
            FOR NO KEY UPDATE SKIP LOCKED
        ), moved AS (
            UPDATE queue_job SET eta = %(eta)s
            WHERE id IN (SELECT id FROM free WHERE uuid = %(watchdog)s)
            AND state = 'pending' RETURNING id
        )
        SELECT EXISTS (SELECT 1 FROM moved),
            EXISTS (SELECT 1 FROM free WHERE uuid = %(job)s)""",
        watchdog=watchdog_uuid,
        job=job_uuid,
        eta=eta,
    )


def close_watchdog(job_uuid: str, now) -> SQL:
    return SQL(
        """UPDATE queue_job SET state = 'done', date_done = %s,
            result = 'lane ended in order'
        WHERE id IN (
            SELECT id FROM queue_job WHERE uuid = %s AND state = 'pending'
            FOR NO KEY UPDATE SKIP LOCKED
        )""",
        now,
        job_uuid,
    )


def lane_job_due(endpoint_id: SQL, now) -> SQL:
    """A condition: a job that starts a lane of this endpoint is due."""
    return SQL(
        """EXISTS (
            SELECT 1 FROM queue_job j WHERE j.state IN ('pending', 'enqueued')
            AND (j.eta IS NULL OR j.eta <= %(now)s)
            AND j.identity_key LIKE 'bwt_webhook_outbound:%%:' || %(endpoint)s || ':%%'
        )""",
        now=now,
        endpoint=endpoint_id,
    )


def others_waiting(endpoint_id: int, now) -> SQL:
    """True if a job other than this endpoint's own could run now."""
    return SQL(
        """SELECT EXISTS (
            SELECT 1 FROM queue_job
            WHERE state IN ('pending', 'enqueued') AND (eta IS NULL OR eta <= %s)
            AND COALESCE(identity_key, '') NOT LIKE %s
        )""",
        now,
        f"bwt_webhook_outbound:%:{endpoint_id}:%",
    )


def close_dead_jobs(endpoint_id: int, slot: int | None, now, reason: str) -> SQL:
    """Close the jobs of killed lanes whose deliveries are in this slot."""
    # Until then queue_job's runner counts them as running: after as many kills as the
    # channel has room for, nothing starts before its next poll, up to 60 s later.
    # A job that runs holds its row of queue_job_lock: SKIP LOCKED leaves it alone.
    return SQL(
        """WITH dead AS MATERIALIZED (
            SELECT l.queue_job_id FROM queue_job_lock l
            JOIN queue_job j ON j.id = l.queue_job_id
            WHERE j.state = 'started' AND j.uuid IN (
                SELECT job_uuid FROM bwt_webhook_outbound_delivery
                WHERE endpoint_id = %(endpoint)s AND state = 'processing'
                AND lane_slot IS NOT DISTINCT FROM %(slot)s
            ) FOR NO KEY UPDATE OF l, j SKIP LOCKED
        )
        UPDATE queue_job SET state = 'done', date_done = %(now)s, result = %(why)s
        WHERE id IN (SELECT queue_job_id FROM dead)""",
        now=now,
        why=reason,
        endpoint=endpoint_id,
        slot=slot,
    )


def dead_lane_jobs() -> SQL:
    """Started lane jobs that no worker seems to run: id, and endpoint's id as text."""
    # A job that runs holds its row of queue_job_lock: SKIP LOCKED leaves it out. One
    # that is just between its mark and its lock looks the same for a moment.
    return SQL(
        """SELECT j.id, split_part(j.identity_key, ':', 3) FROM queue_job_lock l
        JOIN queue_job j ON j.id = l.queue_job_id
        WHERE j.state = 'started' AND j.method_name = 'run_lane'
        AND j.model_name = 'bwt.webhook.outbound.endpoint'
        FOR NO KEY UPDATE OF l SKIP LOCKED"""
    )


def close_killed(job_ids: list[int], now, reason: str) -> SQL:
    """Close those of these jobs that still no worker runs."""
    return SQL(
        """WITH dead AS MATERIALIZED (
            SELECT l.queue_job_id FROM queue_job_lock l
            JOIN queue_job j ON j.id = l.queue_job_id
            WHERE j.id = ANY(%(ids)s) AND j.state = 'started'
            FOR NO KEY UPDATE OF l, j SKIP LOCKED
        )
        UPDATE queue_job SET state = 'done', date_done = %(now)s, result = %(why)s
        WHERE id IN (SELECT queue_job_id FROM dead)""",
        ids=job_ids,
        now=now,
        why=reason,
    )


def requeue_dead_jobs() -> SQL:
    """Set our jobs back to pending that no worker runs, or whose start was lost.

    `retry` shows the next lane that its predecessor was killed; a lost start is none.
    """
    # A job that runs holds its row of queue_job_lock. One that is just between its
    # mark and its lock is set back too: its worker notices, and it starts again.
    # Enqueued for long: the runner, or the server that it called, was killed before the
    # start. A request that is only late starts it if it comes before the next one.
    return SQL(
        """WITH ours AS (
            SELECT * FROM unnest(%(models)s, %(methods)s)
        ), dead AS MATERIALIZED (
            SELECT l.queue_job_id AS id FROM queue_job_lock l
            JOIN queue_job j ON j.id = l.queue_job_id
            WHERE j.state = 'started'
            AND (j.model_name, j.method_name) IN (SELECT * FROM ours)
            FOR NO KEY UPDATE OF l, j SKIP LOCKED
        ), lost AS MATERIALIZED (
            SELECT j.id FROM queue_job j
            WHERE j.state = 'enqueued' AND j.date_enqueued <
                clock_timestamp() AT TIME ZONE 'UTC' - %(grace)s * interval '1 s'
            AND (j.model_name, j.method_name) IN (SELECT * FROM ours)
            FOR NO KEY UPDATE SKIP LOCKED
        )
        UPDATE queue_job SET state = 'pending', retry = COALESCE(retry, 0)
            + CASE state WHEN 'started' THEN 1 ELSE 0 END
        WHERE id IN (SELECT id FROM dead UNION ALL SELECT id FROM lost)""",
        models=list(METHODS),
        methods=list(METHODS.values()),
        grace=START_LOST_AFTER,
    )


def _runner_holds_its_lock(runner_lock: int) -> SQL:
    return SQL(
        """EXISTS (
            SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted
            AND objsubid = 1 AND database = (
                SELECT oid FROM pg_database WHERE datname = current_database()
            ) AND (classid::bigint << 32) + objid::bigint = %s
        )""",
        runner_lock,
    )


def runner_alive(runner_lock: int) -> SQL:
    """Whether queue_job's runner is connected to this database."""
    return SQL("SELECT %s", _runner_holds_its_lock(runner_lock))


def late_wake_ups(since) -> SQL:
    """Whether a lane should have started before `since` and no job runs at all."""
    return SQL(
        """SELECT EXISTS (
            SELECT 1 FROM queue_job WHERE state IN ('pending', 'enqueued')
            AND identity_key LIKE 'bwt_webhook_outbound:%%' AND date_created < %(since)s
            AND (eta IS NULL OR eta < %(since)s)
        ) AND NOT EXISTS (SELECT 1 FROM queue_job WHERE state = 'started')""",
        since=since,
    )


def queue_state(endpoint_id: int, now, runner_lock: int) -> SQL:
    """Runner, lane, wake-ups, running jobs and the oldest transaction, in one row."""
    return SQL(
        """SELECT
            %(runner)s,
            EXISTS (
                SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted
                AND objsubid = 2 AND database = (
                    SELECT oid FROM pg_database WHERE datname = current_database()
                ) AND objid::bigint = %(endpoint)s
                AND classid::bigint BETWEEN %(low)s AND %(high)s
            ),
            %(wake_up)s,
            (SELECT count(*) FROM queue_job WHERE state = 'started')::int,
            (SELECT min(xact_start) AT TIME ZONE 'UTC' FROM pg_stat_activity
             WHERE datname = current_database() AND backend_xmin IS NOT NULL
             AND pid != pg_backend_pid())""",
        runner=_runner_holds_its_lock(runner_lock),
        endpoint=endpoint_id,
        low=SLOTS[0],
        high=SLOTS[-1],
        wake_up=lane_job_due(SQL("%s", endpoint_id), now),
    )
