# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Every statement of the hot path, in the order in which a delivery passes them.

Functions return an ``SQL`` object; the ``..._VALUES`` texts take their rows through
``cr.execute_values``. A lane's cursor is on READ COMMITTED: each statement sees what is
committed, and SKIP LOCKED never fails for a row that changed since a snapshot.
"""

from odoo.tools import SQL

from .job_sql import lane_job_due
from .locks import ALERTS, SLOTS

SUPERUSER = 1

# Queueing -----------------------------------------------------------------------------

QUEUED_COLUMNS = (
    "name",
    "message_uid",
    "state",
    "queued_at",
    "next_attempt_at",
    "payload_json",
    "request_headers_json",
    "ordering_key",
    "ordering_group",
    "supersede",
    "res_model",
    "res_id",
    "server_action_id",
)
# Queue numbers follow the order of the rows. `now()` is what the ORM writes: the start
# of the transaction. The transaction's number is part of the key of its wake-up.
QUEUE_DELIVERIES_VALUES = f"""
    INSERT INTO bwt_webhook_outbound_delivery (
        {", ".join(QUEUED_COLUMNS)}, queue_number, endpoint_id, company_id,
        retry_number, attempt_count, replay_count, interruption_count,
        queue_to_done_seconds, end_to_end_seconds,
        create_date, create_uid, write_date, write_uid
    ) VALUES %s RETURNING id, pg_current_xact_id()::text"""
QUEUE_DELIVERIES_TEMPLATE = (
    "("
    + "%%s, " * len(QUEUED_COLUMNS)
    + "nextval('bwt_webhook_outbound_queue_number'), "
    "%(endpoint)s, %(company)s, 0, 0, 0, 0, 0.0, 0.0, "
    "now() AT TIME ZONE 'UTC', %(uid)s, now() AT TIME ZONE 'UTC', %(uid)s)"
)

QUEUE_LINES_VALUES = """
    INSERT INTO bwt_webhook_outbound_delivery_context_line (
        delivery_id, sequence, active, key_name, source_kind, source_expression,
        literal_value, company_id, create_date, create_uid, write_date, write_uid
    ) VALUES %s"""
QUEUE_LINES_TEMPLATE = (
    "(%%s, %%s, %%s, %%s, %%s, %%s, %%s, %(company)s, "
    "now() AT TIME ZONE 'UTC', %(uid)s, now() AT TIME ZONE 'UTC', %(uid)s)"
)

# What a server action queued in this transaction and no lane has claimed yet.
REQUEUE_VALUES = """
    UPDATE bwt_webhook_outbound_delivery d SET payload_json = v.payload,
        write_date = now() AT TIME ZONE 'UTC', write_uid = v.uid
    FROM (VALUES %s) AS v (id, payload, uid) WHERE d.id = v.id"""


def updatable(ids: list[int], endpoint_id: int) -> SQL:
    """Those of these deliveries that may still be updated, with their state."""
    return SQL(
        """SELECT id, state FROM bwt_webhook_outbound_delivery
        WHERE id = ANY(%s) AND endpoint_id = %s AND attempt_count = 0
        AND (state IN ('draft', 'queued') OR (state = 'error' AND needs_build))""",
        ids,
        endpoint_id,
    )


def delete_lines(ids: list[int]) -> SQL:
    return SQL(
        "DELETE FROM bwt_webhook_outbound_delivery_context_line "
        "WHERE delivery_id = ANY(%s)",
        ids,
    )


def transaction_id() -> SQL:
    """The number of this transaction, the same in all its savepoints."""
    return SQL("SELECT pg_current_xact_id()::text")


# Slot and recovery --------------------------------------------------------------------


def try_slot(endpoint_id: int, slot: int) -> SQL:
    """True if the slot is locked until the transaction of this cursor ends."""
    return SQL("SELECT pg_try_advisory_xact_lock(%s, %s)", SLOTS[slot], endpoint_id)


def try_alerts(endpoint_id: int) -> SQL:
    """True if no other lane notifies about this endpoint until our transaction ends."""
    return SQL("SELECT pg_try_advisory_xact_lock(%s, %s)", ALERTS[0], endpoint_id)


def slots_in_use(endpoint_id: int) -> SQL:
    """Slot numbers of deliveries in flight, of living lanes and of dead ones."""
    return SQL(
        "SELECT DISTINCT lane_slot FROM bwt_webhook_outbound_delivery "
        "WHERE endpoint_id = %s AND state = 'processing'",
        endpoint_id,
    )


def interrupt_attempts(endpoint_id: int, slot: int, now, note: str) -> SQL:
    """Close the attempts that a lane in this slot left open."""
    return SQL(
        """UPDATE bwt_webhook_outbound_delivery_attempt a SET
            state = 'interrupted', failure_reason = 'interrupted',
            finished_at = %(now)s, processing_note = %(note)s
        FROM bwt_webhook_outbound_delivery d
        WHERE d.endpoint_id = %(endpoint)s AND d.state = 'processing'
        AND d.lane_slot IS NOT DISTINCT FROM %(slot)s
        AND a.delivery_id = d.id AND a.state = 'processing'""",
        now=now,
        note=note,
        endpoint=endpoint_id,
        slot=slot,
    )


def release_interrupted(
    endpoint_id: int, slot: int, now, *, limit: int, note: str, error: str
) -> SQL:
    """Make deliveries in flight in this slot due, unless interrupted too often."""
    return SQL(
        """UPDATE bwt_webhook_outbound_delivery SET
            state = 'error', failure_reason = 'interrupted',
            next_attempt_at = CASE
                WHEN interruption_count + 1 < %(limit)s THEN %(now)s END,
            processing_error = CASE
                WHEN interruption_count + 1 < %(limit)s THEN NULL ELSE %(error)s END,
            interruption_count = interruption_count + 1,
            processing_note = %(note)s, job_uuid = NULL, lane_slot = NULL,
            write_date = %(now)s, write_uid = %(uid)s
        WHERE endpoint_id = %(endpoint)s AND state = 'processing'
        AND lane_slot IS NOT DISTINCT FROM %(slot)s
        RETURNING next_attempt_at IS NULL""",
        limit=limit,
        now=now,
        note=note,
        error=error,
        uid=SUPERUSER,
        endpoint=endpoint_id,
        slot=slot,
    )


_KEY = SQL("COALESCE(ordering_key, res_model || ',' || res_id)")


def regroup(endpoint_id: int, ordering: str) -> SQL:
    """Assign waiting deliveries to the groups of the endpoint's order."""
    group = {"endpoint": SQL("'*'"), "key": _KEY}.get(ordering, SQL("NULL"))
    return SQL(
        """UPDATE bwt_webhook_outbound_delivery SET ordering_group = %(group)s
        WHERE endpoint_id = %(endpoint)s AND state IN ('queued', 'processing', 'error')
        AND needs_build IS NOT TRUE
        AND ordering_group IS DISTINCT FROM %(group)s""",
        group=group,
        endpoint=endpoint_id,
    )


# Claim --------------------------------------------------------------------------------

_CLAIMED = SQL(
    """d.id, d.name, d.state, d.attempt_count, d.retry_number, d.interruption_count,
    CASE WHEN d.ordering_key IS NOT NULL AND d.attempt_count = 0 THEN (
        SELECT s.name FROM bwt_webhook_outbound_delivery s
        WHERE s.endpoint_id = d.endpoint_id AND s.ordering_key = d.ordering_key
        AND s.supersede AND s.queue_number > d.queue_number
        AND s.state NOT IN ('draft', 'canceled')
        ORDER BY s.queue_number DESC LIMIT 1
    ) END AS superseded_by, d.next_attempt_at, d.queue_number,
    octet_length(d.payload_json) + octet_length(d.request_headers_json),
    d.build_tries"""  # octet_length reads no large value
)

_IN_LINE = SQL("d.state IN ('queued', 'error') AND d.next_attempt_at <= ")
# Interrupted deliveries are sent alone (`claim_interrupted`): one may kill the worker.
_UNHURT = SQL("d.failure_reason IS DISTINCT FROM 'interrupted'")

# A predecessor is any unfinished row in front, never what SKIP LOCKED left out: a row
# that an operator holds locked is still in front.
_FIRST_IN_LINE = SQL(
    """NOT EXISTS (
        SELECT 1 FROM bwt_webhook_outbound_delivery p
        WHERE p.endpoint_id = d.endpoint_id AND p.ordering_group = d.ordering_group
        AND p.queue_number < d.queue_number
        AND p.state IN ('queued', 'processing', 'error')
    )"""
)


def claim_interrupted(endpoint_id: int, now, ordered: bool) -> SQL:
    """The interrupted delivery that has been due longest: it is sent alone."""
    return SQL(
        """SELECT %s FROM bwt_webhook_outbound_delivery d
        WHERE d.endpoint_id = %s AND %s %s AND d.failure_reason = 'interrupted' AND %s
        ORDER BY d.next_attempt_at, d.queue_number LIMIT 1
        FOR NO KEY UPDATE OF d SKIP LOCKED""",
        _CLAIMED,
        endpoint_id,
        _IN_LINE,
        now,
        _FIRST_IN_LINE if ordered else SQL("TRUE"),
    )


def _from(place) -> SQL:
    """Rows from `place` in the queue on; all if it is None (lane/pacing.py)."""
    if place is None:
        return SQL("TRUE")
    return SQL("(d.next_attempt_at, d.queue_number) >= (%s, %s)", *place)


def claim(endpoint_id: int, now, limit: int, place=None) -> SQL:
    """Due deliveries of one endpoint, longest due first, locked for this lane.

    :param place: (next_attempt_at, queue_number) where to begin
    """
    # SKIP LOCKED: lanes share the work without waiting for each other.
    # NO KEY: rows that refer to a delivery may still be inserted meanwhile.
    # WHERE matches the partial index; one more state and it scans the history.
    return SQL(
        """SELECT %s FROM bwt_webhook_outbound_delivery d
        WHERE d.endpoint_id = %s AND %s %s AND %s AND %s
        ORDER BY d.next_attempt_at, d.queue_number LIMIT %s
        FOR NO KEY UPDATE OF d SKIP LOCKED""",
        _CLAIMED,
        endpoint_id,
        _IN_LINE,
        now,
        _from(place),
        _UNHURT,
        limit,
    )


def claim_first_in_group(endpoint_id: int, now, limit: int, scan: int) -> SQL:
    """Like `claim`, but only the first of each group; reads `scan` rows."""
    return SQL(
        """SELECT %s FROM bwt_webhook_outbound_delivery d
        WHERE d.id IN (
            SELECT id FROM bwt_webhook_outbound_delivery d
            WHERE d.endpoint_id = %s AND %s %s
            ORDER BY d.next_attempt_at, d.queue_number LIMIT %s
        ) AND %s %s AND %s AND %s
        ORDER BY d.next_attempt_at, d.queue_number LIMIT %s
        FOR NO KEY UPDATE OF d SKIP LOCKED""",
        _CLAIMED,
        endpoint_id,
        _IN_LINE,
        now,
        scan,
        _IN_LINE,
        now,
        _UNHURT,
        _FIRST_IN_LINE,
        limit,
    )


def _heads(endpoint_id: int) -> SQL:
    """The first delivery of every group of an endpoint, by a loose index scan."""
    return SQL(
        """RECURSIVE heads AS (
            (SELECT ordering_group, id FROM bwt_webhook_outbound_delivery
             WHERE endpoint_id = %(endpoint)s AND ordering_group IS NOT NULL
             AND state IN ('queued', 'processing', 'error')
             ORDER BY ordering_group, queue_number LIMIT 1)
            UNION ALL
            SELECT n.ordering_group, n.id FROM heads h CROSS JOIN LATERAL (
                SELECT ordering_group, id FROM bwt_webhook_outbound_delivery
                WHERE endpoint_id = %(endpoint)s AND ordering_group > h.ordering_group
                AND state IN ('queued', 'processing', 'error')
                ORDER BY ordering_group, queue_number LIMIT 1
            ) n
        )""",
        endpoint=endpoint_id,
    )


def claim_heads(endpoint_id: int, now, limit: int) -> SQL:
    """Like `claim_first_in_group`, by group: for few groups with long backlogs."""
    return SQL(
        """WITH %s SELECT %s FROM bwt_webhook_outbound_delivery d
        WHERE d.id IN (
            SELECT id FROM heads
            UNION ALL
            SELECT id FROM bwt_webhook_outbound_delivery d
            WHERE d.endpoint_id = %s AND %s %s AND d.ordering_group IS NULL
        ) AND %s %s AND %s
        ORDER BY d.next_attempt_at, d.queue_number LIMIT %s
        FOR NO KEY UPDATE OF d SKIP LOCKED""",
        _heads(endpoint_id),
        _CLAIMED,
        endpoint_id,
        _IN_LINE,
        now,
        _IN_LINE,
        now,
        _UNHURT,
        limit,
    )


def claim_one(delivery_id: int) -> SQL:
    """One delivery, for the direct path; LockNotAvailable if it is being sent."""
    return SQL(
        """SELECT %s, %s AS first_in_line FROM bwt_webhook_outbound_delivery d
        WHERE d.id = %s FOR NO KEY UPDATE OF d NOWAIT""",
        _CLAIMED,
        _FIRST_IN_LINE,
        delivery_id,
    )


def claim_marked(delivery_id: int, now) -> SQL:
    """Lock a delivery again after its mark was committed, if it is still due."""
    return SQL(
        """SELECT %s FROM bwt_webhook_outbound_delivery d
        WHERE d.id = %s AND %s %s FOR NO KEY UPDATE OF d SKIP LOCKED""",
        _CLAIMED,
        delivery_id,
        _IN_LINE,
        now,
    )


def queued_bytes(ids: list[int]) -> SQL:
    """Bytes of payload and headers as queued."""
    return SQL(
        """SELECT id, octet_length(payload_json) + octet_length(request_headers_json)
        FROM bwt_webhook_outbound_delivery WHERE id = ANY(%s)""",
        ids,
    )


def file_bytes(ids: list[int]) -> SQL:
    """Bytes of the files that are sent with these deliveries, where there are any."""
    # Only files to send have a form field in the description; other attachments don't.
    return SQL(
        """SELECT res_id, sum(file_size)::bigint FROM ir_attachment
        WHERE res_model = 'bwt.webhook.outbound.delivery' AND res_id = ANY(%s)
        AND description IS NOT NULL GROUP BY res_id""",
        ids,
    )


def mark_build(delivery_id: int) -> SQL:
    """Mark a delivery that is about to be built; the mark remains after a kill."""
    return SQL(
        "UPDATE bwt_webhook_outbound_delivery "
        "SET build_tries = COALESCE(build_tries, 0) + 1 WHERE id = %s",
        delivery_id,
    )


def unmark_build(ids: list[int]) -> SQL:
    """Remove the marks: building these did not end the worker."""
    return SQL(
        "UPDATE bwt_webhook_outbound_delivery SET build_tries = NULL "
        "WHERE id = ANY(%s) AND build_tries IS NOT NULL",
        ids,
    )


def mark_processing(
    ids: list[int], owner: str, slot: int | None, now, *, attempts: int
) -> SQL:
    """Mark locked rows as processing by `owner`; `attempts`: 0 or 1 to add."""
    return SQL(
        """UPDATE bwt_webhook_outbound_delivery SET
            state = 'processing', job_uuid = %s, lane_slot = %s,
            attempt_count = attempt_count + %s, write_date = %s, write_uid = %s
        WHERE id = ANY(%s)""",
        owner,
        slot,
        attempts,
        now,
        SUPERUSER,
        ids,
    )


OPEN_ATTEMPTS_VALUES = """
    INSERT INTO bwt_webhook_outbound_delivery_attempt (
        delivery_id, name, attempt_number, state, started_at, finished_at, duration_ms,
        http_method, request_body_mode, target_url, request_headers_json, payload_json,
        multipart_file_keys, processing_note, processing_error, failure_reason,
        endpoint_id, company_id, job_uuid
    ) VALUES %s RETURNING id, delivery_id"""
# Values that all rows of a batch share are bound once: binding is as slow as inserting.
OPEN_ATTEMPTS_TEMPLATE = (
    "(%%s, %%s, %%s, %%s, %(now)s, %%s, 0, "
    "%%s, %%s, %%s, %%s, %%s, %%s, %%s, %%s, %%s, "
    "%(endpoint)s, %(company)s, %(owner)s)"
)

# Record -------------------------------------------------------------------------------

# Fence: only what this job still owns. A lane that lost its slot without noticing
# doesn't overwrite its successor. The rule is looked up: a callback may name one that
# doesn't exist, and one may be deleted while its request is in flight.
RECORD_DELIVERIES_VALUES = """
    UPDATE bwt_webhook_outbound_delivery d SET
        state = v.state, failure_reason = v.failure_reason,
        next_attempt_at = v.next_attempt_at, retry_number = v.retry_number,
        processed_at = v.processed_at,
        queue_to_done_seconds = CASE WHEN v.processed_at IS NULL THEN 0.0 ELSE
            COALESCE(GREATEST(EXTRACT(EPOCH FROM v.processed_at - d.queued_at), 0), 0)
            END,
        end_to_end_seconds = CASE WHEN v.processed_at IS NULL THEN 0.0 ELSE
            COALESCE(GREATEST(EXTRACT(EPOCH FROM v.processed_at - d.create_date), 0), 0)
            END,
        response_status_code = COALESCE(v.status_code, d.response_status_code),
        response_headers_json = CASE WHEN v.status_code IS NULL
            THEN d.response_headers_json ELSE v.response_headers END,
        response_body = CASE WHEN v.status_code IS NULL
            THEN d.response_body ELSE v.response_body END,
        processing_note = v.note, processing_error = v.error,
        matched_outbound_rule_id = (
            SELECT r.id FROM bwt_webhook_outbound_handler_rule r WHERE r.id = v.rule_id
        ), interruption_count = 0,
        job_uuid = NULL, lane_slot = NULL, write_date = v.written_at, write_uid = 1
    FROM (VALUES %s) AS v (
        id, holder, state, failure_reason, next_attempt_at, retry_number, processed_at,
        status_code, response_headers, response_body, note, error, rule_id, written_at
    )
    WHERE d.id = v.id AND d.job_uuid = v.holder AND d.state = 'processing'
    RETURNING d.id"""
RECORD_DELIVERIES_TEMPLATE = (
    "(%s::int, %s::text, %s::text, %s::text, %s::timestamp, %s::int, %s::timestamp, "
    "%s::int, %s::text, %s::text, %s::text, %s::text, %s::int, %s::timestamp)"
)

CLOSE_ATTEMPTS_VALUES = """
    UPDATE bwt_webhook_outbound_delivery_attempt a SET
        state = v.state, failure_reason = v.failure_reason, started_at = v.started_at,
        finished_at = v.finished_at, duration_ms = v.duration_ms,
        response_status_code = v.status_code,
        response_headers_json = v.response_headers,
        response_body = v.response_body,
        processing_note = v.note, processing_error = v.error, hook_try = v.hook_try
    FROM (VALUES %s) AS v (
        id, state, failure_reason, started_at, finished_at, duration_ms, status_code,
        response_headers, response_body, note, error, hook_try
    )
    WHERE a.id = v.id"""
CLOSE_ATTEMPTS_TEMPLATE = (
    "(%s::int, %s::text, %s::text, %s::timestamp, %s::timestamp, %s::int, %s::int, "
    "%s::text, %s::text, %s::text, %s::text, %s::int)"
)


def release_unsent(ids: list[int], state: str, owner: str, now) -> SQL:
    """Return to the queue what was claimed and not sent, as if never claimed.

    :param state: in which they were claimed
    """
    return SQL(
        """WITH back AS (
            UPDATE bwt_webhook_outbound_delivery SET
                state = %(state)s, attempt_count = attempt_count - 1,
                job_uuid = NULL, lane_slot = NULL,
                write_date = %(now)s, write_uid = %(uid)s
            WHERE id = ANY(%(ids)s) AND state = 'processing' AND job_uuid = %(owner)s
            RETURNING id
        )
        DELETE FROM bwt_webhook_outbound_delivery_attempt a USING back
        WHERE a.delivery_id = back.id AND a.state = 'processing'""",
        state=state,
        now=now,
        uid=SUPERUSER,
        ids=ids,
        owner=owner,
    )


# Response hooks -----------------------------------------------------------------------


def take_hooks(attempt_ids: list[int]) -> SQL:
    """Attempts whose hook is due; it is called in this transaction and in no other."""
    # SKIP LOCKED: another lane is calling it.
    return SQL(
        """UPDATE bwt_webhook_outbound_delivery_attempt SET hook_try = NULL
        WHERE id IN (
            SELECT id FROM bwt_webhook_outbound_delivery_attempt
            WHERE id = ANY(%s) AND hook_try IS NOT NULL
            FOR NO KEY UPDATE SKIP LOCKED
        ) RETURNING id""",
        attempt_ids,
    )


def put_hooks_back(attempt_ids: list[int]) -> SQL:
    """Make hooks due again that were taken in this transaction."""
    return SQL(
        "UPDATE bwt_webhook_outbound_delivery_attempt SET hook_try = 1 "
        "WHERE id = ANY(%s)",
        attempt_ids,
    )


def interrupted_hooks(endpoint_id: int) -> SQL:
    """Attempts whose hook was not completed; not those of a running lane."""
    # Started least often first: one that ends the worker does not delay the others.
    return SQL(
        """SELECT id FROM bwt_webhook_outbound_delivery_attempt
        WHERE endpoint_id = %s AND hook_try IS NOT NULL
        ORDER BY hook_try, id FOR NO KEY UPDATE SKIP LOCKED""",
        endpoint_id,
    )


def count_hook_try(attempt_id: int) -> SQL:
    """How many times this hook was started; no row if it was called meanwhile."""
    return SQL(
        """UPDATE bwt_webhook_outbound_delivery_attempt SET hook_try = hook_try + 1
        WHERE id = (
            SELECT id FROM bwt_webhook_outbound_delivery_attempt
            WHERE id = %s AND hook_try IS NOT NULL
            FOR NO KEY UPDATE SKIP LOCKED
        ) RETURNING hook_try - 1""",
        attempt_id,
    )


# Health -------------------------------------------------------------------------------


def health(endpoint_id: int, *, lock: bool) -> SQL:
    """The state of the target; locked if what is read determines what is written."""
    return SQL(
        """SELECT circuit_state, failure_streak, opened_at, cooldown_seconds,
            next_probe_at, rate_tokens, rate_tokens_at, ordering_in_force
        FROM bwt_webhook_outbound_endpoint_health WHERE endpoint_id = %s %s""",
        endpoint_id,
        SQL("FOR NO KEY UPDATE") if lock else SQL(""),
    )


def write_circuit(endpoint_id: int, circuit, last_success, last_failure) -> SQL:
    return SQL(
        """UPDATE bwt_webhook_outbound_endpoint_health SET
            circuit_state = %s, failure_streak = %s, opened_at = %s,
            cooldown_seconds = %s, next_probe_at = %s,
            last_success_at = COALESCE(%s, last_success_at),
            last_failure_at = COALESCE(%s, last_failure_at)
        WHERE endpoint_id = %s""",
        circuit.state,
        circuit.streak,
        circuit.opened_at,
        circuit.cooldown,
        circuit.next_probe_at,
        last_success,
        last_failure,
        endpoint_id,
    )


def take_probe(endpoint_id: int, seen, until) -> SQL:
    """A row if this lane may probe: while the circuit is open only one lane does.

    :param seen: `next_probe_at` as it was read; another lane that probes changed it
    """
    return SQL(
        """UPDATE bwt_webhook_outbound_endpoint_health
        SET circuit_state = 'half_open', next_probe_at = %s
        WHERE endpoint_id = %s AND circuit_state IN ('open', 'half_open')
        AND next_probe_at IS NOT DISTINCT FROM %s RETURNING endpoint_id""",
        until,
        endpoint_id,
        seen,
    )


def write_bucket(endpoint_id: int, bucket) -> SQL:
    return SQL(
        "UPDATE bwt_webhook_outbound_endpoint_health "
        "SET rate_tokens = %s, rate_tokens_at = %s WHERE endpoint_id = %s",
        bucket.tokens,
        bucket.at,
        endpoint_id,
    )


def write_shortage(endpoint_id: int, now, shortage: str) -> SQL:
    return SQL(
        "UPDATE bwt_webhook_outbound_endpoint_health "
        "SET shortage_at = %s, shortage = %s WHERE endpoint_id = %s",
        now,
        shortage,
        endpoint_id,
    )


def write_ordering_in_force(endpoint_id: int, ordering: str) -> SQL:
    return SQL(
        "UPDATE bwt_webhook_outbound_endpoint_health SET ordering_in_force = %s "
        "WHERE endpoint_id = %s",
        ordering,
        endpoint_id,
    )


# The last check, the sweep ------------------------------------------------------------


def next_due(endpoint_id: int, ordered: bool, place=None) -> SQL:
    """When the earliest delivery that may be sent is due; NULL if none waits.

    :param place: (next_attempt_at, queue_number) where to begin, without an order
    """
    if not ordered:
        return SQL(
            """SELECT d.next_attempt_at FROM bwt_webhook_outbound_delivery d
            WHERE d.endpoint_id = %s AND d.state IN ('queued', 'error')
            AND d.next_attempt_at IS NOT NULL AND %s
            ORDER BY d.next_attempt_at, d.queue_number LIMIT 1""",
            endpoint_id,
            _from(place),
        )
    return SQL(
        """WITH %(heads)s
        SELECT min(next_attempt_at) FROM bwt_webhook_outbound_delivery
        WHERE state IN ('queued', 'error') AND endpoint_id = %(endpoint)s
        AND next_attempt_at IS NOT NULL
        AND (id IN (SELECT id FROM heads) OR ordering_group IS NULL)""",
        heads=_heads(endpoint_id),
        endpoint=endpoint_id,
    )


def stuck_endpoints(now) -> SQL:
    """Active endpoints with due or interrupted work, but without a lane or wake-up."""
    # Locks are read, not tried: a try could stop a lane that is just starting.
    return SQL(
        """WITH held AS (
            SELECT classid::bigint AS slot, objid::bigint AS endpoint_id FROM pg_locks
            WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND database = (
                SELECT oid FROM pg_database WHERE datname = current_database()
            )
        )
        SELECT e.id FROM bwt_webhook_outbound_endpoint e
        JOIN bwt_webhook_outbound_endpoint_health h ON h.endpoint_id = e.id
        WHERE e.state = 'active' AND NOT COALESCE(e.is_paused, FALSE)
        AND (h.circuit_state = 'closed' AND h.next_probe_at IS NULL
             OR h.next_probe_at <= %(now)s
             OR e.circuit_reset_at > h.opened_at)
        AND NOT %(lane_is_coming)s
        AND (
            (EXISTS (
                SELECT 1 FROM bwt_webhook_outbound_delivery d
                WHERE d.endpoint_id = e.id AND d.state IN ('queued', 'error')
                AND d.next_attempt_at <= %(now)s
            ) AND NOT EXISTS (
                SELECT 1 FROM held
                WHERE endpoint_id = e.id AND slot BETWEEN %(low)s AND %(high)s
            ))
            OR EXISTS (
                SELECT 1 FROM bwt_webhook_outbound_delivery d
                WHERE d.endpoint_id = e.id AND d.state = 'processing'
                AND NOT EXISTS (
                    SELECT 1 FROM held
                    WHERE endpoint_id = e.id AND slot = %(low)s + d.lane_slot
                )
            )
            OR (EXISTS (
                SELECT 1 FROM bwt_webhook_outbound_delivery_attempt a
                WHERE a.endpoint_id = e.id AND a.hook_try IS NOT NULL
            ) AND NOT EXISTS (
                SELECT 1 FROM held
                WHERE endpoint_id = e.id AND slot BETWEEN %(low)s AND %(high)s
            ))
        )""",
        now=now,
        lane_is_coming=lane_job_due(SQL("e.id"), now),
        low=SLOTS[0],
        high=SLOTS[-1],
    )
