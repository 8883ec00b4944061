# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Every statement of the hot path, in the order in which a delivery passes them.

Functions return an ``SQL`` object; the ``..._VALUES`` texts of queueing take their rows
through ``cr.execute_values``. A lane's cursor is on READ COMMITTED: each statement sees
what is committed, and SKIP LOCKED never fails for a row that changed since a snapshot.
"""

from functools import lru_cache

from odoo.tools import SQL

from .job_sql import lane_job_due
from .locks import ALERTS, BURST, COMPARED, SLOTS

SUPERUSER = 1

# Queueing -----------------------------------------------------------------------------

# True while a lane holds the lock; a shared lock of a moment disturbs nobody.
_IN_BURST = f"""NOT CASE
    WHEN pg_try_advisory_lock_shared({BURST[0]}, endpoint_id)
    THEN pg_advisory_unlock_shared({BURST[0]}, endpoint_id) ELSE FALSE END"""

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
    "settle_started_at",
    "skip_if_unchanged",
    "origin",
)
# Queue numbers follow the order of the rows. `now()` is what the ORM writes: the start
# of the transaction. The transaction's number is part of the key of its wake-up, and a
# lane in a burst lets that wait.
QUEUE_DELIVERIES_VALUES = f"""
    INSERT INTO bwt_webhook_outbound_delivery (
        {", ".join(QUEUED_COLUMNS)}, queue_number, endpoint_id, company_id,
        retry_number, attempt_count, replay_count, interruption_count,
        queue_to_done_seconds, end_to_end_seconds,
        create_date, create_uid, write_date, write_uid
    ) VALUES %s RETURNING id, pg_current_xact_id()::text, {_IN_BURST}"""
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


def first_changes(endpoint_id: int, keys: list[str]) -> SQL:
    """Ordering key and first change, where the last delivery of a key still waits."""
    # One index lookup per key: the history of a key may be long.
    return SQL(
        """SELECT k.ordering_key, d.settle_started_at
        FROM unnest(%s::text[]) AS k (ordering_key)
        CROSS JOIN LATERAL (
            SELECT state, attempt_count, settle_started_at
            FROM bwt_webhook_outbound_delivery
            WHERE endpoint_id = %s AND ordering_key = k.ordering_key AND supersede
            ORDER BY queue_number DESC LIMIT 1
        ) d
        WHERE d.state = 'queued' AND d.attempt_count = 0
        AND d.settle_started_at IS NOT NULL""",
        keys,
        endpoint_id,
    )


def updatable(ids: list[int], endpoint_id: int) -> SQL:
    """Those of these deliveries that may still be updated, with their state."""
    return SQL(
        """SELECT id, state FROM bwt_webhook_outbound_delivery
        WHERE id = ANY(%s) AND endpoint_id = %s AND attempt_count = 0
        AND (state IN ('draft', 'queued') OR (state = 'error' AND needs_build))""",
        ids,
        endpoint_id,
    )


# Only for actions that need values which the record no longer has.
STORE_RECORD_VALUES = """
    UPDATE bwt_webhook_outbound_delivery d SET record_values_json = v.stored
    FROM (VALUES %s) AS v (id, stored) WHERE d.id = v.id"""


def record_values(ids: list[int]) -> SQL:
    """What was stored of the records of these deliveries, as JSON."""
    return SQL(
        """SELECT id, record_values_json FROM bwt_webhook_outbound_delivery
        WHERE id = ANY(%s) AND record_values_json IS NOT NULL""",
        ids,
    )


def delete_unsent(ids: list[int]) -> SQL:
    """Remove deliveries of this transaction, which no other one has seen.

    Their context lines are removed with them, by the foreign key.
    """
    return SQL(
        """DELETE FROM bwt_webhook_outbound_delivery
        WHERE id = ANY(%s) AND attempt_count = 0""",
        ids,
    )


def delete_lines(ids: list[int]) -> SQL:
    return SQL(
        "DELETE FROM bwt_webhook_outbound_delivery_context_line "
        "WHERE delivery_id = ANY(%s)",
        ids,
    )


def transaction(endpoint_id: int) -> SQL:
    """The number of this transaction, and whether a lane of the endpoint is in a burst.

    The number is the same in all its savepoints.
    """
    return SQL(
        "SELECT pg_current_xact_id()::text, %s FROM (SELECT %s AS endpoint_id) AS e",
        SQL(_IN_BURST),
        endpoint_id,
    )


# Slot and recovery --------------------------------------------------------------------


def try_slot(endpoint_id: int, slot: int) -> SQL:
    """True if the slot is locked until the transaction of this cursor ends."""
    return SQL("SELECT %s", locks_slot(endpoint_id, slot))


def locks_slot(endpoint_id: int | SQL, slot: int) -> SQL:
    """Like `try_slot`, as an expression of another statement."""
    return SQL("pg_try_advisory_xact_lock(%s, %s)", SLOTS[slot], endpoint_id)


def try_compared(endpoint_id: int, places: list[int]) -> SQL:
    """Lock these until the transaction ends; those that another one has locked.

    :param places: in the range of keys, see `locks.COMPARED`
    """
    return SQL(
        "SELECT place FROM ("
        "SELECT %s + place AS key, place FROM unnest(%s::int[]) AS place"
        ") AS k WHERE NOT pg_try_advisory_xact_lock(key, %s)",
        COMPARED[0],
        places,
        endpoint_id,
    )


def try_alerts(endpoint_id: int) -> SQL:
    """True if no other lane notifies about this endpoint until our transaction ends."""
    return SQL("SELECT pg_try_advisory_xact_lock(%s, %s)", ALERTS[0], endpoint_id)


def try_burst(endpoint_id: int) -> SQL:
    """True if this lane is the one that wake-ups of its endpoint may wait for."""
    return SQL("SELECT pg_try_advisory_xact_lock(%s, %s)", BURST[0], endpoint_id)


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
        AND a.delivery_id = d.id AND a.state = 'processing'
        RETURNING a.delivery_id, a.started_at""",
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
        RETURNING id, next_attempt_at IS NULL""",
        limit=limit,
        now=now,
        note=note,
        error=error,
        uid=SUPERUSER,
        endpoint=endpoint_id,
        slot=slot,
    )


_GROUPS = {
    "endpoint": SQL("'*'"),
    "key": SQL("COALESCE(ordering_key, res_model || ',' || res_id)"),
    "record": SQL("COALESCE(res_model || ',' || res_id, ordering_key)"),
}


def regroup(endpoint_id: int, ordering: str) -> SQL:
    """Assign waiting deliveries to the groups of the endpoint's order.

    :param ordering: see `EndpointSnapshot.grouping`
    """
    group = _GROUPS.get(ordering, SQL("NULL"))
    return SQL(
        """UPDATE bwt_webhook_outbound_delivery SET ordering_group = %(group)s
        WHERE endpoint_id = %(endpoint)s AND state IN ('queued', 'processing', 'error')
        AND needs_build IS NOT TRUE
        AND ordering_group IS DISTINCT FROM %(group)s""",
        group=group,
        endpoint=endpoint_id,
    )


# Claim --------------------------------------------------------------------------------

# Files of messages have no part: they aren't sent. Base64 in the payload takes a third
# more.
_FILE_BYTES = SQL(
    """sum(
        CASE WHEN bwt_webhook_part LIKE '%%"in_payload": true%%'
        THEN file_size::bigint * 4 / 3 ELSE file_size END
    )::bigint"""
)

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
    d.build_tries, COALESCE((
        SELECT %s FROM ir_attachment
        WHERE res_model = 'bwt.webhook.outbound.delivery' AND res_id = d.id
        AND bwt_webhook_part IS NOT NULL
    ), 0)""",  # octet_length reads no large value
    _FILE_BYTES,
)

_IN_LINE = SQL("d.state IN ('queued', 'error') AND d.next_attempt_at <= ")
# Interrupted deliveries are sent alone (`claim_interrupted`): one may kill the worker.
_UNHURT = SQL("d.failure_reason IS DISTINCT FROM 'interrupted'")

# A predecessor is any unfinished row in front, never what SKIP LOCKED left out: a row
# that an operator holds locked is still in front.
COUNTED_BY_KEY = 1000  # deliveries of which a run finds those that can be sent
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


def claim(endpoint_id: int, now, limit: int, place=None, unless=None) -> SQL:
    """Due deliveries of one endpoint, longest due first, locked for this lane.

    :param place: (next_attempt_at, queue_number) where to begin
    :param unless: a condition; none are claimed if it is true
    """
    # SKIP LOCKED: lanes share the work without waiting for each other.
    # NO KEY: rows that refer to a delivery may still be inserted meanwhile.
    # WHERE matches the partial index; one more state and it scans the history.
    return SQL(
        """SELECT %s FROM bwt_webhook_outbound_delivery d
        WHERE d.endpoint_id = %s AND %s %s AND %s AND %s AND NOT %s
        ORDER BY d.next_attempt_at, d.queue_number LIMIT %s
        FOR NO KEY UPDATE OF d SKIP LOCKED""",
        _CLAIMED,
        endpoint_id,
        _IN_LINE,
        now,
        _from(place),
        _UNHURT,
        unless or SQL("FALSE"),
        limit,
    )


def oldest_transaction() -> SQL:
    """When the oldest other transaction that has written something began; or NULL."""
    return SQL(
        """SELECT min(xact_start) AT TIME ZONE 'UTC' FROM pg_stat_activity
        WHERE datname = current_database() AND backend_xid IS NOT NULL
        AND pid <> pg_backend_pid()"""
    )


def claim_interrupted_or_due(endpoint_id: int, now, limit: int) -> SQL:
    """The interrupted delivery that has been due longest; if there is none, `claim`.

    Without an order. In one statement, since the first request of a lane waits for it.
    The last column tells whether it is an interrupted one.
    """
    return SQL(
        """WITH interrupted AS (%s), due AS (%s)
        SELECT *, TRUE FROM interrupted UNION ALL SELECT *, FALSE FROM due""",
        claim_interrupted(endpoint_id, now, ordered=False),
        claim(
            endpoint_id,
            now,
            limit,
            unless=SQL("EXISTS (SELECT 1 FROM interrupted)"),
        ),
    )


def _of_share(share) -> SQL:
    """Rows of the groups that a lane claims first; all if it has no share.

    It only keeps lanes from meeting at the same groups, so any hash will do, and lanes
    may disagree on their number.
    """
    if share is None:
        return SQL("TRUE")
    slot, lanes = share
    # Without a group, a delivery is one by itself.
    return SQL(
        "(hashtext(COALESCE(d.ordering_group, d.id::text)) & 2147483647) %% %s = %s",
        lanes,
        slot % lanes,
    )


def claim_first_in_group(
    endpoint_id: int, now, limit: int, scan: int, share=None
) -> SQL:
    """Like `claim`, but only the first of each group; reads `scan` rows.

    :param share: (slot, number of lanes): only groups of this lane's share
    """
    # Any number of lanes keep the order: a row is taken only if every one in front of
    # it was finished when this statement began, and no finished one comes back in
    # front. What another lane has locked or in flight is not finished.
    return SQL(
        """SELECT %s FROM bwt_webhook_outbound_delivery d
        WHERE d.id IN (
            SELECT id FROM bwt_webhook_outbound_delivery d
            WHERE d.endpoint_id = %s AND %s %s AND %s
            ORDER BY d.next_attempt_at, d.queue_number LIMIT %s
        ) AND %s %s AND %s AND %s
        ORDER BY d.next_attempt_at, d.queue_number LIMIT %s
        FOR NO KEY UPDATE OF d SKIP LOCKED""",
        _CLAIMED,
        endpoint_id,
        _IN_LINE,
        now,
        _of_share(share),
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


def claim_heads(endpoint_id: int, now, limit: int, share=None) -> SQL:
    """Like `claim_first_in_group`, by group: for few groups with long backlogs."""
    return SQL(
        """WITH %s SELECT %s FROM bwt_webhook_outbound_delivery d
        WHERE d.id IN (
            SELECT id FROM heads
            UNION ALL
            SELECT id FROM bwt_webhook_outbound_delivery d
            WHERE d.endpoint_id = %s AND %s %s AND d.ordering_group IS NULL
        ) AND %s %s AND %s AND %s
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
        _of_share(share),
        limit,
    )


def groups_of_others(endpoint_id: int, now, share, scan: int) -> SQL:
    """How many groups of the shares of other lanes are among the first due rows."""
    return SQL(
        """SELECT count(DISTINCT COALESCE(d.ordering_group, d.id::text)) FROM (
            SELECT d.id, d.ordering_group FROM bwt_webhook_outbound_delivery d
            WHERE d.endpoint_id = %s AND %s %s
            ORDER BY d.next_attempt_at, d.queue_number LIMIT %s
        ) d WHERE NOT %s""",
        endpoint_id,
        _IN_LINE,
        now,
        scan,
        _of_share(share),
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
    return SQL(
        """SELECT res_id, %s FROM ir_attachment
        WHERE res_model = 'bwt.webhook.outbound.delivery' AND res_id = ANY(%s)
        AND bwt_webhook_part IS NOT NULL GROUP BY res_id""",
        _FILE_BYTES,
        ids,
    )


def sent_requests(ids: list[int], config_version: int, at_once: int) -> SQL:
    """What was sent last of each of these deliveries, if a retry repeats it.

    :param config_version: of the endpoint; what was built with another isn't repeated
    :param at_once: bytes of the largest payload that is read
    """
    # A body that the receiver refused for good is sent again only by a user, who has
    # corrected the record or expects it to be built from the record as it is.
    return SQL(
        """SELECT d.id, a.id, a.body_hash, a.http_method, a.request_body_mode,
            a.target_url, a.request_headers_json,
            CASE WHEN octet_length(COALESCE(a.payload_json, d.payload_json)) <= %s
                THEN COALESCE(a.payload_json, d.payload_json) END
        FROM bwt_webhook_outbound_delivery d CROSS JOIN LATERAL (
            SELECT * FROM bwt_webhook_outbound_delivery_attempt
            WHERE delivery_id = d.id AND body_hash IS NOT NULL
            ORDER BY attempt_number DESC LIMIT 1
        ) a
        WHERE d.id = ANY(%s) AND a.config_version = %s
        AND a.attempt_number > COALESCE(d.edited_at_attempt, 0)
        AND NOT (a.state = 'dead_letter'
            AND COALESCE(a.failure_reason, '') IN ('http_4xx', 'answer'))""",
        at_once,
        ids,
        config_version,
    )


def last_requests(endpoint_id: int, subjects: list[str]) -> SQL:
    """The last request about each of these records.

    :return: subject, hash, whether it is done and alone, whether it is in flight
    """
    # A request that ended after this one began may have arrived after it. There are
    # few of them: none ends later than the timeout.
    return SQL(
        """SELECT s.subject, a.request_hash, a.state = 'done' AND NOT EXISTS (
            SELECT 1 FROM (
                SELECT finished_at FROM bwt_webhook_outbound_delivery_attempt
                WHERE endpoint_id = %(endpoint)s AND subject = s.subject AND id < a.id
                ORDER BY id DESC LIMIT 20
            ) b WHERE b.finished_at IS NULL OR b.finished_at > a.started_at
        ), a.state = 'processing'
        FROM unnest(%(subjects)s::text[]) AS s (subject) CROSS JOIN LATERAL (
            SELECT id, state, request_hash, started_at
            FROM bwt_webhook_outbound_delivery_attempt
            WHERE endpoint_id = %(endpoint)s AND subject = s.subject
            ORDER BY id DESC LIMIT 1
        ) a""",
        endpoint=endpoint_id,
        subjects=subjects,
    )


def replays(ids: list[int]) -> SQL:
    """Those of these deliveries that a user has replayed, or a run of a user."""
    return SQL(
        """SELECT id FROM bwt_webhook_outbound_delivery
        WHERE id = ANY(%(ids)s) AND replayed_from_delivery_id IS NOT NULL
        UNION SELECT queued_id FROM bwt_webhook_outbound_run_delivery
        WHERE queued_id = ANY(%(ids)s)""",
        ids=ids,
    )


def compares_requests(endpoint_id: int) -> SQL:
    """Whether requests of this endpoint are compared with earlier ones."""
    return SQL(
        """SELECT EXISTS (
            SELECT 1 FROM bwt_webhook_outbound_delivery_attempt
            WHERE endpoint_id = %s AND subject IS NOT NULL
        )""",
        endpoint_id,
    )


def postpone(ids: list[int], until) -> SQL:
    """Let these deliveries, which this transaction has locked, wait until then."""
    return SQL(
        "UPDATE bwt_webhook_outbound_delivery SET next_attempt_at = %s "
        "WHERE id = ANY(%s)",
        until,
        ids,
    )


def sent_payload(attempt_id: int) -> SQL:
    """The payload of one attempt."""
    return SQL(
        """SELECT COALESCE(a.payload_json, d.payload_json)
        FROM bwt_webhook_outbound_delivery_attempt a
        JOIN bwt_webhook_outbound_delivery d ON d.id = a.delivery_id WHERE a.id = %s""",
        attempt_id,
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


def _unnest(types: str, rows: list[tuple]) -> SQL:
    """`rows` for FROM, one array per column; `types`: those of the columns.

    VALUES takes psycopg2 almost twice as long to bind, and PostgreSQL longer to parse.
    """
    columns = zip(types.split(), zip(*rows, strict=True), strict=True)
    return SQL(
        "unnest(%s)",
        SQL(", ").join(SQL(f"%s::{kind}[]", list(values)) for kind, values in columns),
    )


# In the order of the rows of `open_attempts`.
_OPENED = (
    *("delivery_id", "name", "attempt_number", "state", "finished_at", "http_method"),
    *("request_body_mode", "target_url", "request_headers_json", "payload_json"),
    *("multipart_file_keys", "processing_note", "processing_error", "failure_reason"),
    *("body_hash", "subject", "request_hash", "config_version"),
)
_OPENED_NAMES = SQL(", ".join(_OPENED))
# A payload that is sent as the delivery stores it is not stored again (`SHARED`). The
# lane has locked the delivery: it doesn't change before this is committed.
_OPENED_VALUES = SQL(
    ", ".join(
        """NULLIF(v.payload_json, (
            SELECT d.payload_json FROM bwt_webhook_outbound_delivery d
            WHERE d.id = v.delivery_id
        ))"""
        if name == "payload_json"
        else f"v.{name}"
        for name in _OPENED
    )
)


def open_attempts(
    endpoint_id: int, company_id: int, owner: str, now, rows: list[tuple]
) -> SQL:
    """Insert attempts; returns their ids and those of their deliveries.

    :param rows: values of each attempt, in the order of `_OPENED`
    """
    types = "int text int text timestamp" + " text" * 12 + " int"
    return SQL(
        """INSERT INTO bwt_webhook_outbound_delivery_attempt (
            %s, started_at, duration_ms, endpoint_id, company_id, job_uuid
        ) SELECT %s, %s, 0, %s, %s, %s FROM %s AS v (%s) RETURNING id, delivery_id""",
        _OPENED_NAMES,
        _OPENED_VALUES,
        now,
        endpoint_id,
        company_id,
        owner,
        _unnest(types, rows),
        _OPENED_NAMES,
    )


# What an attempt has in common with its delivery is stored with the delivery alone: the
# column of the attempt is NULL. The condition is that for an attempt to have such a
# value at all.
SHARED = {
    "payload_json": SQL("TRUE"),
    "response_headers_json": SQL("a.response_status_code IS NOT NULL"),
    "response_body": SQL("a.response_status_code IS NOT NULL"),
}


def complete_attempts(delivery_ids: list[int], names: list[str]) -> SQL:
    """Store with attempts what they have in common with their deliveries.

    To be executed before these columns of the deliveries change: attempts show what was
    sent and received then.

    :param names: of `SHARED`
    """
    lacking = {
        name: SQL("(%s AND a.%s IS NULL)", SHARED[name], SQL.identifier(name))
        for name in names
    }
    # Not NULL again if the delivery has none: a later one would be taken for it.
    values = [
        SQL(
            "%(name)s = CASE WHEN %(lacks)s THEN COALESCE(d.%(name)s, '') "
            "ELSE a.%(name)s END",
            name=SQL.identifier(name),
            lacks=lacks,
        )
        for name, lacks in lacking.items()
    ]
    # The delivery is locked first, as by all that writes both.
    return SQL(
        """UPDATE bwt_webhook_outbound_delivery_attempt a SET %s
        FROM (
            SELECT id, %s FROM bwt_webhook_outbound_delivery
            WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE
        ) d WHERE d.id = a.delivery_id AND (%s)""",
        SQL(", ").join(values),
        SQL(", ").join(SQL.identifier(name) for name in names),
        delivery_ids,
        SQL(" OR ").join(lacking.values()),
    )


# Record -------------------------------------------------------------------------------


def record_deliveries(owner: str, now, rows: list[tuple]) -> SQL:
    """Update deliveries that `owner` still owns; returns their ids.

    :param rows: values of each delivery, in the order of `v`
    """
    # Fence: only what this job still owns. A lane that lost its slot without noticing
    # doesn't overwrite its successor. The rule is looked up: a callback may name one
    # that doesn't exist, and one may be deleted while its request is in flight.
    # OFFSET 0 keeps owner and state out of the scan of deliveries: PostgreSQL expects
    # one row in flight, and would compare each result with each row that is.
    types = "int text text timestamp int timestamp int text text text text int"
    return SQL(
        """UPDATE bwt_webhook_outbound_delivery d SET
            state = v.state, failure_reason = v.failure_reason,
            next_attempt_at = v.next_attempt_at, retry_number = v.retry_number,
            processed_at = v.processed_at,
            queue_to_done_seconds = CASE WHEN v.processed_at IS NULL THEN 0.0
                ELSE COALESCE(GREATEST(
                    EXTRACT(EPOCH FROM v.processed_at - d.queued_at), 0), 0) END,
            end_to_end_seconds = CASE WHEN v.processed_at IS NULL THEN 0.0
                ELSE COALESCE(GREATEST(
                    EXTRACT(EPOCH FROM v.processed_at - d.create_date), 0), 0) END,
            response_status_code = COALESCE(v.status_code, d.response_status_code),
            response_headers_json = CASE WHEN v.status_code IS NULL
                THEN d.response_headers_json ELSE v.response_headers END,
            response_body = CASE WHEN v.status_code IS NULL
                THEN d.response_body ELSE v.response_body END,
            processing_note = v.note, processing_error = v.error,
            matched_outbound_rule_id = (
                SELECT r.id FROM bwt_webhook_outbound_handler_rule r
                WHERE r.id = v.rule_id
            ), interruption_count = 0,
            job_uuid = NULL, lane_slot = NULL, write_date = %s, write_uid = %s
        FROM (
            SELECT *, %s AS owner, 'processing' AS was FROM %s AS r (
                id, state, failure_reason, next_attempt_at, retry_number, processed_at,
                status_code, response_headers, response_body, note, error, rule_id
            ) OFFSET 0
        ) AS v
        WHERE d.id = v.id AND d.job_uuid = v.owner AND d.state = v.was
        RETURNING d.id""",
        now,
        SUPERUSER,
        owner,
        _unnest(types, rows),
    )


def close_attempts(rows: list[tuple]) -> SQL:
    """Update attempts whose request ended; `rows`: values in the order of `v`."""
    types = "int text text timestamp timestamp int int text text text text int text"
    return SQL(
        """UPDATE bwt_webhook_outbound_delivery_attempt a SET
            state = v.state, failure_reason = v.failure_reason,
            started_at = v.started_at, finished_at = v.finished_at,
            duration_ms = v.duration_ms,
            response_status_code = v.status_code,
            response_headers_json = v.response_headers,
            response_body = v.response_body,
            processing_note = v.note, processing_error = v.error,
            hook_try = v.hook_try, hook_values = v.hook_values
        FROM %s AS v (
            id, state, failure_reason, started_at, finished_at, duration_ms,
            status_code, response_headers, response_body, note, error, hook_try,
            hook_values
        )
        WHERE a.id = v.id""",
        _unnest(types, rows),
    )


def insert_references(rows: list[tuple]) -> SQL:
    """Store external ids; `rows`: values in the order of `v`."""
    # Together with the result: the next delivery of the record must not be built as if
    # nothing had been created. A conflict is reported when the values are stored.
    return SQL(
        """INSERT INTO bwt_webhook_outbound_external_ref (
            reference_scope, res_model, res_id, external_id, last_delivery_id,
            company_id, create_date, create_uid, write_date, write_uid
        )
        SELECT v.scope, v.res_model, v.res_id, v.external_id, d.id, d.company_id,
            v.now, %(user)s, v.now, %(user)s
        FROM %(rows)s AS v (scope, res_model, res_id, external_id, delivery_id, now)
        JOIN bwt_webhook_outbound_delivery d ON d.id = v.delivery_id
        ON CONFLICT DO NOTHING""",
        rows=_unnest("text text int text int timestamp", rows),
        user=SUPERUSER,
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


# Figures ------------------------------------------------------------------------------


def count_attempts(endpoint_id: int, slot: int, hour, counts: dict[str, int]) -> SQL:
    """Add to the figures of an hour; no row if nothing was counted in it yet.

    :param counts: numbers to add, by column
    """
    # Each lane has a row of its own, by its slot: none waits for another. No INSERT
    # with ON CONFLICT each time: it would use up an id, and ids are limited.
    return SQL(
        f"""UPDATE bwt_webhook_outbound_endpoint_hour h SET {_additions(*counts)}
        WHERE endpoint_id = %s AND hour = %s AND lane_slot = %s""",
        *counts.values(),
        endpoint_id,
        hour,
        slot,
    )


def start_hour(endpoint_id: int, slot: int | None, hour, counts) -> SQL:
    """The first figures of an hour. Without a slot: a row that is never updated.

    Only lanes that hold the slot update a row, so that a transaction of any length,
    which sends a delivery itself, never makes a lane wait.
    """
    return SQL(
        f"""INSERT INTO bwt_webhook_outbound_endpoint_hour AS h
            ({", ".join(counts)}, endpoint_id, hour, lane_slot)
        VALUES ({"%s, " * len(counts)} %s, %s, %s)
        ON CONFLICT (endpoint_id, hour, lane_slot)
        DO UPDATE SET {_additions(*counts)}""",
        *counts.values(),
        endpoint_id,
        hour,
        slot,
        *counts.values(),
    )


@lru_cache(maxsize=1024)
def _additions(*names: str) -> str:
    """`a = COALESCE(h.a, 0) + %s, ...`: text, since composing SQL takes longer."""
    return ", ".join(f"{name} = COALESCE(h.{name}, 0) + %s" for name in names)


# Response hooks -----------------------------------------------------------------------


def take_hooks(attempt_ids: list[int]) -> SQL:
    """Attempts whose hook is due, with the values of the response to store.

    Both are done in this transaction and in no other.
    """
    # SKIP LOCKED: another lane is calling it.
    return SQL(
        """UPDATE bwt_webhook_outbound_delivery_attempt a
        SET hook_try = NULL, hook_values = NULL
        FROM (
            SELECT id, hook_values FROM bwt_webhook_outbound_delivery_attempt
            WHERE id = ANY(%s) AND hook_try IS NOT NULL
            FOR NO KEY UPDATE SKIP LOCKED
        ) due WHERE a.id = due.id RETURNING due.id, due.hook_values""",
        attempt_ids,
    )


def put_hooks_back(attempt_ids: list[int], values: list[str | None]) -> SQL:
    """Make hooks due again that were taken in this transaction.

    :param values: of each, those that are yet to be stored
    """
    return SQL(
        """UPDATE bwt_webhook_outbound_delivery_attempt a
        SET hook_try = 1, hook_values = due.hook_values
        FROM unnest(%s::int[], %s::text[]) AS due (id, hook_values)
        WHERE a.id = due.id""",
        attempt_ids,
        values,
    )


def limit_lock_wait(wait: str) -> SQL:
    """How long statements of this transaction wait for a row of another one."""
    return SQL("SELECT set_config('lock_timeout', %s, TRUE)", wait)


def uncount_hook_try(attempt_id: int) -> SQL:
    """Take back `count_hook_try`: another transaction has locked the record."""
    return SQL(
        "UPDATE bwt_webhook_outbound_delivery_attempt SET hook_try = hook_try - 1 "
        "WHERE id = %s AND hook_try > 1",
        attempt_id,
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


# The results of an endpoint's last attempts are a text of 1 and 0, oldest first: added
# to where the row is updated anyway, and read without scanning attempts.
RECENT_RESULTS = 20


def _with_results(marks: str) -> SQL:
    return SQL(
        "right(COALESCE(recent_results, '') || %s, %s)",
        marks[-RECENT_RESULTS:],
        RECENT_RESULTS,
    )


def write_circuit(
    endpoint_id: int, circuit, last_success, last_failure, marks=""
) -> SQL:
    return SQL(
        """UPDATE bwt_webhook_outbound_endpoint_health SET
            circuit_state = %s, failure_streak = %s, opened_at = %s,
            cooldown_seconds = %s, next_probe_at = %s,
            last_success_at = COALESCE(%s, last_success_at),
            last_failure_at = COALESCE(%s, last_failure_at), recent_results = %s
        WHERE endpoint_id = %s""",
        circuit.state,
        circuit.streak,
        circuit.opened_at,
        circuit.cooldown,
        circuit.next_probe_at,
        last_success,
        last_failure,
        _with_results(marks),
        endpoint_id,
    )


def add_results(endpoint_id: int, marks: str) -> SQL:
    """Add results that say nothing about the circuit."""
    return SQL(
        "UPDATE bwt_webhook_outbound_endpoint_health SET recent_results = %s "
        "WHERE endpoint_id = %s",
        _with_results(marks),
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


def count_due(endpoint_id: int, now, limit: int, by_key: bool) -> SQL:
    """How many deliveries could be sent now and are not yet, up to `limit`.

    :param by_key: without those behind another one of their key, which may wait long;
        of the first ones alone
    """
    if not by_key:
        return SQL(
            """SELECT count(*) FROM (
                SELECT 1 FROM bwt_webhook_outbound_delivery d
                WHERE d.endpoint_id = %s AND %s %s LIMIT %s
            ) due""",
            endpoint_id,
            _IN_LINE,
            now,
            limit,
        )
    return SQL(
        """SELECT count(*) FROM (
            SELECT 1 FROM (
                SELECT endpoint_id, ordering_group, queue_number
                FROM bwt_webhook_outbound_delivery d
                WHERE d.endpoint_id = %s AND %s %s
                ORDER BY d.next_attempt_at, d.queue_number LIMIT %s
            ) d WHERE %s LIMIT %s
        ) due""",
        endpoint_id,
        _IN_LINE,
        now,
        limit + COUNTED_BY_KEY,
        _FIRST_IN_LINE,
        limit,
    )


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
