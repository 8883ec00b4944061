# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Health by the last attempts: endpoints that sent before know theirs."""

# The 20 newest attempts of each endpoint, by the index on endpoint and start.
FILL = """
    UPDATE bwt_webhook_outbound_endpoint_health h SET recent_results = (
        SELECT string_agg(
            CASE WHEN state = 'done' THEN '1' ELSE '0' END, '' ORDER BY started_at, id
        ) FROM (
            SELECT id, state, started_at
            FROM bwt_webhook_outbound_delivery_attempt a
            WHERE a.endpoint_id = h.endpoint_id
            AND a.state IN ('done', 'error', 'dead_letter')
            ORDER BY started_at DESC, id DESC LIMIT 20
        ) newest
    ) WHERE recent_results IS NULL"""
# Saved filters: the health "resting" has been "circuit_open" since 19.0.1.2.0.
FILTERS = r"""
    UPDATE ir_filters SET domain = regexp_replace(
        domain, '([''"])resting\1', '\1circuit_open\1', 'g'
    ) WHERE model_id = 'bwt.webhook.outbound.endpoint' AND domain LIKE '%resting%'"""


def migrate(cr, version):
    cr.execute(FILL)
    cr.execute(FILTERS)
