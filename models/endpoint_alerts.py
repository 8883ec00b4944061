# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Activities: when deliveries need attention, were not queued, or a circuit is open.

They are for the responsible user of an endpoint, and close automatically when
resolved.
"""

from datetime import datetime, time

from odoo import api, fields, models
from odoo.tools import SQL

from ..lane import jobs, sql
from ..lane.clock import utcnow
from .const import DELIVERY, ENDPOINT
from .endpoint_snapshot import active_lang

FAILURES = "bwt_webhooks_outbound.mail_activity_type_dead_letter"
CIRCUIT_OPEN = "bwt_webhooks_outbound.mail_activity_type_circuit_open"
NEEDS_ATTENTION = [
    "|",
    ("state", "=", "dead_letter"),
    "&",
    ("state", "=", "error"),
    ("next_attempt_at", "=", False),
]

# Deliveries that need attention


def notify_of_failures(endpoint):
    """Deliveries failed: create today's activity of the responsible user.

    One per endpoint and day, for any number of deliveries; called by the lane, at
    most once per recorded chunk, in a transaction of its own.
    :return: True if the user has one for today, created now or before
    """
    endpoint.ensure_one()
    if not _wants_notification(endpoint, FAILURES) or not _may_notify(endpoint):
        return False
    if _was_notified_today(endpoint):
        return True
    _create_alert(
        endpoint,
        FAILURES,
        endpoint.env._("Webhook deliveries need attention"),
        endpoint.env._(
            "Deliveries failed permanently and aren't retried automatically. "
            "Press Failed on this endpoint: each delivery says what happened "
            "and what to do. This activity closes automatically when no failed "
            "delivery is left."
        ),
    )
    return True


def close_failure_alerts(endpoints):
    """Close the activities of endpoints where no delivery needs attention."""
    env = endpoints.env
    activities = env["mail.activity"].sudo().search(_domain(endpoints, FAILURES))
    if not activities:
        return
    env.flush_all()
    deliveries = env[DELIVERY].sudo()
    for endpoint in endpoints.browse(activities.mapped("res_id")):
        domain = [("endpoint_id", "=", endpoint.id), *NEEDS_ATTENTION]
        if not deliveries.search_count(domain, limit=1):
            note = env._("No deliveries need attention any more.")
            _close_alerts(endpoint, FAILURES, note)


# A target that stopped responding


def notify_of_circuit(endpoint, before, after):
    """Post on the endpoint that its circuit opened or closed."""
    env = endpoint.env
    messages = {
        "open": env._(
            "The target failed too often in a row: the circuit is open, and "
            "only probes are sent."
        ),
        "manual": env._(
            "The target responded with 410 Gone: nothing is sent until Close Circuit "
            "is pressed."
        ),
        "closed": env._("The target responds again: sending resumes."),
    }
    if after not in messages or (before == "half_open" and after == "open"):
        return
    # Mails are sent by the mail queue: a lane must not wait for a mail server.
    endpoint = endpoint.with_context(mail_notify_force_send=False)
    if after == "closed" and _close_alerts(endpoint, CIRCUIT_OPEN, messages[after]):
        return
    endpoint.message_post(body=messages[after])
    if after == "closed" or not _wants_notification(endpoint, CIRCUIT_OPEN):
        return
    activities = env["mail.activity"].sudo()
    if not activities.search_count(_domain(endpoint, CIRCUIT_OPEN), limit=1):
        summary = env._("Webhook target is failing")
        _create_alert(endpoint, CIRCUIT_OPEN, summary, messages[after])


def note_circuit_reset(endpoints):
    """A user closed the circuit: post it on the endpoints."""
    env = endpoints.env
    note = env._("%s pressed Close Circuit: sending resumes.", env.user.name)
    for endpoint in endpoints:
        if not _close_alerts(endpoint, CIRCUIT_OPEN, note):
            endpoint.sudo().message_post(body=note)


# Deliveries that server actions did not queue

# Key of what was counted in this transaction, stored on its cursor until it ends.
COUNTED = "bwt_webhooks_outbound.skipped"


class BwtWebhookOutboundEndpointSkip(models.Model):
    """Deliveries that server actions did not queue, as the endpoint is archived.

    Rows are only inserted, never updated: a counter in one row would make users who
    save at the same time wait for each other, and fail. The vacuum sums them up.
    """

    _name = "bwt.webhook.outbound.endpoint.skip"
    _description = "Outbound Webhook Endpoint: Skipped Deliveries"
    _order = "id desc"

    endpoint_id = fields.Many2one(
        comodel_name=ENDPOINT, required=True, ondelete="cascade", index=True
    )
    skipped = fields.Integer(string="Skipped Deliveries", required=True)
    last_at = fields.Datetime(string="Last Skipped At", required=True)

    @api.autovacuum
    def _gc_sum_up(self):
        """Sum up the rows of each endpoint in one."""
        self.env.cr.execute(
            SQL(
                """WITH taken AS (
                    SELECT id FROM bwt_webhook_outbound_endpoint_skip
                    ORDER BY id FOR UPDATE SKIP LOCKED
                ), gone AS (
                    DELETE FROM bwt_webhook_outbound_endpoint_skip s
                    USING taken WHERE s.id = taken.id
                    RETURNING s.endpoint_id, s.skipped, s.last_at
                )
                INSERT INTO bwt_webhook_outbound_endpoint_skip
                    (endpoint_id, skipped, last_at)
                SELECT endpoint_id, sum(skipped), max(last_at) FROM gone
                GROUP BY endpoint_id"""
            )
        )
        self.invalidate_model()

    @api.model
    def _count(self, endpoint, action, records):
        """Count deliveries that `action` did not queue on an archived endpoint.

        One per record and transaction.

        :param records: empty for one delivery about no record
        :return: how many
        """
        skips = self.sudo()
        counted = self.env.cr.postcommit.data.setdefault(COUNTED, {})
        keys = [(action.id, record._name, record.id) for record in records]
        if not action.bwt_webhook_each_time:
            # A rollback to a savepoint may have removed some.
            known = skips.browse({counted[key] for key in keys if key in counted})
            known = set(known.exists().ids)
            keys = [key for key in keys if counted.get(key) not in known]
        count = len(keys) if records else 1
        if count:
            made = skips.create(
                {"endpoint_id": endpoint.id, "skipped": count, "last_at": utcnow()}
            )
            counted.update(dict.fromkeys(keys, made.id))
        return count


def request_notification(endpoint):
    """Request a notification on what actions could not queue.

    In a job: an activity writes followers and messages of the endpoint, rows on
    which concurrent transactions of users would conflict.
    """
    endpoint.ensure_one()
    if not endpoint.responsible_id or _was_notified_today(endpoint):
        return
    jobs.request_notification(endpoint._for_lane())


def notify_not_queued(endpoint):
    """Create today's activity on what actions could not queue.

    :return: True if one was created
    """
    if endpoint.state == "active":
        return notify_of_failures(endpoint)
    if not _wants_notification(endpoint, FAILURES) or not _may_notify(endpoint):
        return False
    if _was_notified_today(endpoint):
        return False
    notes = {
        "draft": endpoint.env._(
            "Server actions queue deliveries on this endpoint, which is in draft: "
            "they are stored as drafts. Activate the endpoint and queue them, or "
            "archive the actions."
        ),
        "archived": endpoint.env._(
            "Server actions queue deliveries on this endpoint, which is archived: "
            "they are skipped. Activate the endpoint, or archive the actions."
        ),
    }
    summary = endpoint.env._("Webhook endpoint isn't active")
    _create_alert(endpoint, FAILURES, summary, notes[endpoint.state])
    return True


# Activities


def _domain(endpoints, xml_id):
    return [
        ("res_model", "=", endpoints._name),
        ("res_id", "in", endpoints.ids),
        ("activity_type_id", "=", _type_id(endpoints.env, xml_id)),
    ]


def _type_id(env, xml_id):
    """Id of the activity type; False if it was deleted."""
    return env["ir.model.data"]._xmlid_to_res_id(xml_id, raise_if_not_found=False)


def _wants_notification(endpoint, xml_id):
    """Whether to notify; False without the type, which closing relies on."""
    return bool(endpoint.responsible_id and _type_id(endpoint.env, xml_id))


def _may_notify(endpoint):
    """False while another lane of this endpoint notifies."""
    endpoint.env.cr.execute(sql.try_alerts(endpoint.id))
    return endpoint.env.cr.fetchone()[0]


def _was_notified_today(endpoint):
    midnight = datetime.combine(utcnow().date(), time.min)
    # Including activities marked as done: that user knows for today.
    activities = endpoint.env["mail.activity"].sudo().with_context(active_test=False)
    domain = [*_domain(endpoint, FAILURES), ("create_date", ">=", midnight)]
    return bool(activities.search_count(domain, limit=1))


def _create_alert(endpoint, xml_id, summary, note):
    user = endpoint.responsible_id
    endpoint = endpoint.with_context(mail_notify_force_send=False)
    lang = active_lang(endpoint.env, user.lang)
    # Odoo writes the e-mail in the user's language, and fails if that is
    # archived: then create the activity without an e-mail.
    endpoint = endpoint.with_context(
        lang=lang, mail_activity_quick_update=bool(user.lang and lang != user.lang)
    )
    endpoint.sudo().activity_schedule(
        xml_id, summary=summary, note=note, user_id=user.id
    )


def _close_alerts(endpoint, xml_id, note):
    """Close open activities with a note in the chatter; True if there were any.

    They are deleted, not marked as done: after a user marked one as done there is
    no other today, after an automatic close there may be.
    """
    endpoint.ensure_one()
    activities = endpoint.env["mail.activity"].sudo()
    activities = activities.search(_domain(endpoint, xml_id))
    if not activities:
        return False
    names = ", ".join(activities.user_id.mapped("name"))
    endpoint.sudo().with_context(mail_notify_force_send=False).message_post(
        body=endpoint.env._(
            "%(note)s The activity of %(names)s is closed.", note=note, names=names
        )
    )
    activities.unlink()
    return True
