# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What deliveries contain, deleted while the deliveries are kept.

After `content_days`, or when a contact is forgotten, nothing is left of an ended
delivery that a user, a record or a receiver has written: payload, headers, bodies,
context lines, files, messages. State, dates, sizes, hashes, HTTP status, message id and
the reference to the record are kept.
"""

import json
from collections import defaultdict
from hashlib import sha256

from odoo.tools import SQL

from ..services.errors import ServiceError
from ..services.paths import read_path, write_path
from .action_changes import changes_path
from .const import ATTEMPT, CONTEXT_LINE, DELIVERY

ENDED = ("done", "canceled", "dead_letter")
AT_ONCE = 64 * 1024  # bytes of a payload that is read for the whole batch
REASONS = [
    ("retention", "Content Retention"),
    ("forget", "Contact Forgotten"),
]


def expired(now, limit: int) -> SQL:
    """Ids of ended deliveries past the `content_days` of their endpoint."""
    # By endpoint, so that each reads its own range of two partial indexes; a delivery
    # whose content was deleted is in neither. A response hook that has yet to run
    # reads the content.
    return SQL(
        """SELECT d.id FROM bwt_webhook_outbound_endpoint e CROSS JOIN LATERAL (
            (SELECT id FROM bwt_webhook_outbound_delivery o
            WHERE endpoint_id = e.id AND state IN ('done', 'canceled')
            AND content_deleted_at IS NULL
            AND processed_at < %(now)s - e.content_days * interval '1 day'
            AND NOT EXISTS (
                SELECT 1 FROM bwt_webhook_outbound_delivery_attempt a
                WHERE a.delivery_id = o.id AND a.hook_try IS NOT NULL
            )
            ORDER BY processed_at LIMIT %(limit)s)
            UNION ALL
            (SELECT id FROM bwt_webhook_outbound_delivery o
            WHERE endpoint_id = e.id AND state IN ('error', 'dead_letter')
            AND next_attempt_at IS NULL AND content_deleted_at IS NULL
            AND COALESCE(processed_at, write_date)
                < %(now)s - e.content_days * interval '1 day'
            AND state = 'dead_letter' AND NOT EXISTS (
                SELECT 1 FROM bwt_webhook_outbound_delivery_attempt a
                WHERE a.delivery_id = o.id AND a.hook_try IS NOT NULL
            )
            ORDER BY COALESCE(processed_at, write_date) LIMIT %(limit)s)
        ) d WHERE e.content_days > 0 LIMIT %(limit)s""",
        now=now,
        limit=limit,
    )


def _lock(ids) -> SQL:
    """Lock ended deliveries that have content and that nobody is using."""
    return SQL(
        """SELECT id FROM bwt_webhook_outbound_delivery d
        WHERE id = ANY(%s) AND state = ANY(%s) AND content_deleted_at IS NULL
        AND NOT EXISTS (
            SELECT 1 FROM bwt_webhook_outbound_delivery_attempt a
            WHERE a.delivery_id = d.id AND a.hook_try IS NOT NULL
        ) ORDER BY id FOR UPDATE SKIP LOCKED""",
        list(ids),
        list(ENDED),
    )


# Of an emptied delivery: the given one may contain what a caller has put there.
_NAME = SQL(
    """e.name || ' / ' || to_char(
        COALESCE(d.queued_at, d.create_date), 'YYYY-MM-DD HH24:MI:SS')"""
)


def _empty_deliveries(ids, hashes, reason, now) -> SQL:
    # The ordering key may contain what a caller has put there, too. A key that names
    # the record is kept, and that of a delivery that replaces earlier ones which still
    # wait.
    return SQL(
        """UPDATE bwt_webhook_outbound_delivery d SET
            name = %(name)s,
            payload_size = octet_length(d.payload_json), payload_hash = h.hash,
            payload_json = '{}', request_headers_json = '{}',
            response_headers_json = NULL, response_body = NULL,
            processing_note = NULL, processing_error = NULL,
            record_values_json = NULL,
            ordering_key = CASE WHEN d.ordering_key = d.res_model || ',' || d.res_id
                OR (d.supersede AND EXISTS (
                    SELECT 1 FROM bwt_webhook_outbound_delivery w
                    WHERE w.endpoint_id = d.endpoint_id
                    AND w.state IN ('queued', 'error')
                    AND w.next_attempt_at IS NOT NULL
                    AND w.ordering_key = d.ordering_key
                )) THEN d.ordering_key END,
            ordering_group = CASE WHEN d.ordering_group = '*'
                OR d.ordering_group = d.res_model || ',' || d.res_id
                THEN d.ordering_group END,
            content_deleted_at = %(now)s, content_deletion = %(reason)s
        FROM bwt_webhook_outbound_endpoint e,
            unnest(%(ids)s::int[], %(hashes)s::varchar[]) h (id, hash)
        WHERE d.id = h.id AND e.id = d.endpoint_id""",
        name=_NAME,
        ids=ids,
        hashes=hashes,
        reason=reason,
        now=now,
    )


def _empty_attempts(ids) -> SQL:
    # Paths may contain values of context lines; the host is a setting. The name begins
    # with that of the delivery. Sizes are those of what the delivery stores for them,
    # too: it is emptied after them.
    return SQL(
        """UPDATE bwt_webhook_outbound_delivery_attempt a SET
            name = %(name)s || ' / ' || a.attempt_number,
            payload_size = octet_length(COALESCE(a.payload_json, d.payload_json)),
            response_size = CASE WHEN a.response_status_code IS NOT NULL
                THEN octet_length(COALESCE(a.response_body, d.response_body)) END,
            target_url = substring(a.target_url FROM '^[a-z]+://[^/?#]*') || '/***',
            request_headers_json = '{}', payload_json = '{}',
            multipart_file_keys = NULL, response_headers_json = NULL,
            response_body = NULL, processing_note = NULL, processing_error = NULL,
            hook_values = NULL
        FROM bwt_webhook_outbound_delivery d, bwt_webhook_outbound_endpoint e
        WHERE d.id = a.delivery_id AND e.id = d.endpoint_id
        AND a.delivery_id = ANY(%(ids)s)""",
        name=_NAME,
        ids=ids,
    )


def delete_content(env, ids, reason, now):
    """Delete the content of those of these deliveries that have ended.

    In the caller's transaction, a number of statements that doesn't depend on theirs.

    :param env: as superuser
    :param reason: `retention` or `forget`
    :return: ids of those that are now without content; the others are in use, have not
        ended, or their response hook has yet to run
    """
    env.flush_all()
    env.cr.execute(_lock(ids))
    found = [row[0] for row in env.cr.fetchall()]
    if not found:
        return found
    hashes = _payload_hashes(env, found)
    hashes = [hashes.get(each) for each in found]
    env.cr.execute(_empty_attempts(found))
    env.cr.execute(_empty_deliveries(found, hashes, reason, now))
    env.cr.execute(
        SQL(
            "DELETE FROM bwt_webhook_outbound_delivery_context_line "
            "WHERE delivery_id = ANY(%s)",
            found,
        )
    )
    for model, names in texts_about_deliveries(env).items():
        _empty_texts(env, model, names, found)
    env.invalidate_all(flush=False)
    _delete_files_and_messages(env, found)
    return found


def texts_about_deliveries(env):
    """Model name -> its stored texts, of our other models that have a `delivery_id`."""
    return {
        model._name: [
            field.name
            for field in model._fields.values()
            if field.type in ("text", "json", "html")
            and field.store
            and field.column_type
            and not field.required
        ]
        for model in env.registry.models.values()
        if model._original_module == "bwt_webhooks_outbound"
        and model._auto
        and not model._abstract
        and model._name not in (ATTEMPT, CONTEXT_LINE)
        and "delivery_id" in model._fields
        and model._fields["delivery_id"].store
        and model._fields["delivery_id"].comodel_name == DELIVERY
    }


def _empty_texts(env, model_name, names, ids):
    if names:
        env.cr.execute(
            SQL(
                "UPDATE %s SET %s WHERE delivery_id = ANY(%s)",
                SQL.identifier(env[model_name]._table),
                SQL(", ").join(SQL("%s = NULL", SQL.identifier(n)) for n in names),
                ids,
            )
        )


def _delete_files_and_messages(env, ids):
    about = [("res_model", "=", DELIVERY), ("res_id", "in", ids)]
    env["ir.attachment"].search([*about, ("res_field", "=", False)]).unlink()
    env["mail.activity"].with_context(active_test=False).search(about).unlink()
    rows = env.execute_query(
        SQL(
            """SELECT id FROM mail_message WHERE model = %s AND res_id = ANY(%s)
            AND (COALESCE(body, '') <> '' OR COALESCE(subject, '') <> '')""",
            DELIVERY,
            ids,
        )
    )
    env["mail.message"].browse(row[0] for row in rows).unlink()


def _payload_hashes(env, ids):
    """Hash of each payload that a server action has built, for reconciliations."""
    rows = env.execute_query(
        SQL(
            """SELECT id, server_action_id, CASE WHEN octet_length(payload_json) <= %s
                THEN payload_json END
            FROM bwt_webhook_outbound_delivery
            WHERE id = ANY(%s) AND server_action_id IS NOT NULL""",
            AT_ONCE,
            ids,
        )
    )
    by_action = defaultdict(list)
    for delivery_id, action_id, payload in rows:
        by_action[action_id].append((delivery_id, payload))
    found = {}
    for action_id, payloads in by_action.items():
        path = compared_without(env["ir.actions.server"].browse(action_id))
        for delivery_id, payload in payloads:
            if payload is None:
                [(payload,)] = env.execute_query(
                    SQL(
                        "SELECT payload_json FROM bwt_webhook_outbound_delivery "
                        "WHERE id = %s",
                        delivery_id,
                    )
                )
            found[delivery_id] = payload_hash(comparable(payload, path))
    return found


def compared_without(action):
    """Path of what is not compared in payloads of this server action; None: nothing.

    What changed at that time isn't known later.
    """
    return changes_path(action) if action.bwt_webhook_add_changes else None


def without(payload, path):
    """The payload with nothing at this path, if there was something."""
    if path is None:
        return payload
    try:
        if read_path(payload, path) is None:
            return payload
        return write_path(payload, path, None)
    except ServiceError:
        return payload


def comparable(text, path):
    """A stored payload as reconciliations compare it; None if it isn't JSON."""
    try:
        return without(json.loads(text), path)
    except (TypeError, ValueError, RecursionError):
        return None


def payload_hash(payload):
    """SHA-256 of a payload, whatever the order of its keys; None without one."""
    if payload is None:
        return None
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()
