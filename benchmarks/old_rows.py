# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A database with a million old deliveries, kept between runs."""

import hashlib
from pathlib import Path

from tools.console import step
from tools.workspace import ADDON, REPOSITORY, Stamp

TEMPLATE = "bench_history"
COUNT = 1_000_000
PARTS = 10  # transactions that insert the rows

# Each with its attempt and its two context lines, one every three seconds.
INSERT = """
SET synchronous_commit = off;
DO $$ BEGIN  -- without foreign keys' triggers, where we may: a third of the time
    PERFORM set_config('session_replication_role', 'replica', FALSE);
EXCEPTION WHEN insufficient_privilege THEN NULL; END $$;
WITH delivery AS (
    INSERT INTO bwt_webhook_outbound_delivery (
        name, message_uid, state, queued_at, processed_at, payload_json,
        request_headers_json, queue_number, endpoint_id, company_id, retry_number,
        attempt_count, replay_count, interruption_count, queue_to_done_seconds,
        end_to_end_seconds, response_status_code, response_headers_json,
        response_body, create_date, create_uid, write_date, write_uid
    ) SELECT
        'orders / ' || n, 'msg_' || md5(n::text), 'done', at, at,
        '{{"order": {{"id": ' || n || ', "note": "' || repeat(md5(n::text), 12)
            || '"}}}}',
        '{{}}', nextval('bwt_webhook_outbound_queue_number'), {endpoint}, {company},
        0, 1, 0, 0, 0.1, 0.1, 200, '{{"Content-Type": "application/json"}}', '{{}}',
        at, 1, at, 1
    FROM generate_series({first}, {last}) AS n, LATERAL (
        SELECT now() AT TIME ZONE 'UTC' - ({count} - n) * interval '3 seconds' AS at
    ) AS moment
    RETURNING *
), attempt AS (
    INSERT INTO bwt_webhook_outbound_delivery_attempt (
        delivery_id, name, attempt_number, state, started_at, finished_at,
        duration_ms, http_method, request_body_mode, target_url,
        request_headers_json, payload_json, response_status_code,
        response_headers_json, response_body, endpoint_id, company_id
    ) SELECT
        id, name || ' / Attempt 1', 1, 'done', processed_at, processed_at,
        100, 'post', 'json', 'http://127.0.0.1/orders',
        '{{"X-Source": "odoo", "X-Fill": "' || repeat(md5(id::text), 8) || '"}}',
        payload_json, 200, response_headers_json, response_body, endpoint_id,
        company_id
    FROM delivery
)
INSERT INTO bwt_webhook_outbound_delivery_context_line (
    delivery_id, sequence, active, key_name, source_kind, literal_value, company_id,
    create_date, create_uid, write_date, write_uid
) SELECT
    id, line, TRUE, 'key_' || line, 'literal', id::text, company_id,
    create_date, 1, write_date, 1
FROM delivery, generate_series(1, 2) AS line;
"""


def copy_with_history(cluster, databases, ground_of, name):
    """A database `name` with the history; the one it is copied from is kept.

    ground_of: returns a `Ground` on a database, for the endpoint
    """
    rows, code = _stamps()
    if not rows.is_current():
        databases.drop(TEMPLATE)
    if TEMPLATE not in cluster.databases():
        with step(f"a database with {COUNT:,} old deliveries (kept for the next run)"):
            _build(cluster, databases, ground_of)
        rows.write()
        code.write()
    elif not code.is_current():
        with step("updating the database with old deliveries"):
            databases.update(TEMPLATE, ADDON)
        code.write()
    databases.drop(name)
    with step("a copy of the database with old deliveries"):
        # By files: the default writes two gigabytes of WAL.
        cluster.execute(
            "postgres",
            f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}" STRATEGY file_copy',
        )


def _build(cluster, databases, ground_of):
    part = f"{TEMPLATE}_part"
    databases.fresh(part)
    with ground_of(part) as ground:
        ground.endpoint("orders")
    [endpoint] = cluster.rows(
        part, "SELECT id, company_id FROM bwt_webhook_outbound_endpoint"
    )
    size = COUNT // PARTS
    for number in range(PARTS):
        values = {"first": number * size + 1, "last": (number + 1) * size}
        values |= {"endpoint": endpoint["id"], "company": endpoint["company_id"]}
        cluster.execute(part, INSERT.format(count=COUNT, **values))
    cluster.execute(part, "VACUUM ANALYZE")
    cluster.execute("postgres", "CHECKPOINT")
    cluster.execute("postgres", f'ALTER DATABASE "{part}" RENAME TO "{TEMPLATE}"')


def _stamps():
    """Stamps of the code that inserts the rows, and of the addon."""
    folders = ("models", "data", "security", "views")
    paths = [path for name in folders for path in (REPOSITORY / name).glob("*.*")]
    digest = hashlib.sha256()
    for path in sorted([*paths, REPOSITORY / "__manifest__.py"]):
        digest.update(path.name.encode() + path.read_bytes())
    rows = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return Stamp("bench-rows", [rows]), Stamp("bench-code", [digest.hexdigest()])
