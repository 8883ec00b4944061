# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Count the attempts of the last 62 days per endpoint and hour, as lanes do from now.

An attempt doesn't store whether a retry was left: one in Error counts as retried unless
its request could not be built.
"""

BOUNDS = (
    *(5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 400, 500, 750),
    *(1000, 1500, 2000, 3000, 5000, 7500, 10000, 15000, 30000, 60000),
)


def migrate(cr, version):
    buckets = [(f"ms_{bound}", "= %d" % number) for number, bound in enumerate(BOUNDS)]
    buckets.append(("ms_more", "= %d" % len(BOUNDS)))
    names = ", ".join(name for name, _condition in buckets)
    counts = ", ".join(
        f"count(*) FILTER (WHERE bucket {condition})" for _name, condition in buckets
    )
    cr.execute(
        f"""INSERT INTO bwt_webhook_outbound_endpoint_hour
            (endpoint_id, hour, succeeded, retried, failed, {names})
        SELECT endpoint_id, hour,
            count(*) FILTER (WHERE result = 'succeeded'),
            count(*) FILTER (WHERE result = 'retried'),
            count(*) FILTER (WHERE result = 'failed'), {counts}
        FROM (
            SELECT a.endpoint_id, date_trunc('hour', a.started_at) AS hour,
                CASE WHEN a.state = 'done' THEN 'succeeded'
                WHEN a.state = 'dead_letter'
                OR a.failure_reason IN ('build', 'handler') THEN 'failed'
                ELSE 'retried' END AS result,
                -- The bucket whose upper bound is not less than the duration.
                CASE WHEN a.duration_ms > 0 OR a.response_status_code > 0
                THEN width_bucket(GREATEST(a.duration_ms, 1) - 1, %s) END AS bucket
            FROM bwt_webhook_outbound_delivery_attempt a
            JOIN bwt_webhook_outbound_endpoint e ON e.id = a.endpoint_id
            WHERE a.started_at >= now() AT TIME ZONE 'UTC' - interval '62 days'
            AND a.state IN ('done', 'error', 'dead_letter', 'interrupted')
        ) AS attempt
        WHERE NOT EXISTS (SELECT FROM bwt_webhook_outbound_endpoint_hour)
        GROUP BY endpoint_id, hour""",
        (list(BOUNDS),),
    )
