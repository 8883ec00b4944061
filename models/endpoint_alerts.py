# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Activities: when deliveries need attention or a circuit is open."""

from datetime import datetime, time

from odoo import models

from ..lane import sql
from ..lane.clock import utcnow
from .const import DELIVERY

FAILURES = "bwt_webhooks_outbound.mail_activity_type_given_up"
RESTING = "bwt_webhooks_outbound.mail_activity_type_resting"
NEEDS_PERSON = [
    "|",
    ("state", "=", "dead_letter"),
    "&",
    ("state", "=", "error"),
    ("next_attempt_at", "=", False),
]


class BwtWebhookOutboundEndpointAlerts(models.AbstractModel):
    """Activities for the responsible user, closed automatically when resolved."""

    _name = "bwt.webhook.outbound.endpoint.alerts"
    _description = "Outbound Webhook Endpoint: Alerts"

    # Deliveries that need attention

    def _notify_of_failures(self):
        """Deliveries failed: create today's activity of the responsible user.

        One per endpoint and day, for any number of deliveries; called by the lane, at
        most once per recorded chunk, in a transaction of its own.
        :return: True if the user has one for today, created now or before
        """
        self.ensure_one()
        if not self._wants_notification(FAILURES) or not self._may_notify():
            return False
        midnight = datetime.combine(utcnow().date(), time.min)
        # Including activities marked as done: that user knows for today.
        told = self._alerts().with_context(active_test=False)
        domain = [
            *self._alert_domain(FAILURES),
            ("create_date", ">=", midnight),
        ]
        if told.search_count(domain, limit=1):
            return True
        self._alert(
            FAILURES,
            self.env._("Webhook deliveries need attention"),
            self.env._(
                "Deliveries failed permanently and aren't retried automatically. "
                "Press Failed on this endpoint: each delivery says what happened "
                "and what to do. This activity closes automatically when no failed "
                "delivery is left."
            ),
        )
        return True

    def _close_failure_alerts(self):
        """Close the activities of endpoints where no delivery needs attention."""
        activities = self._alerts().search(self._alert_domain(FAILURES))
        if not activities:
            return
        self.env.flush_all()
        deliveries = self.env[DELIVERY].sudo()
        for endpoint in self.browse(activities.mapped("res_id")):
            domain = [("endpoint_id", "=", endpoint.id), *NEEDS_PERSON]
            if not deliveries.search_count(domain, limit=1):
                endpoint._close_alerts(
                    FAILURES, self.env._("No deliveries need attention any more.")
                )

    # A target that stopped responding

    def _circuit_moved(self, before, after):
        """Post on the endpoint that its circuit opened or closed."""
        words = {
            "open": self.env._(
                "The target failed too often in a row: the circuit is open, and "
                "only probes are sent."
            ),
            "manual": self.env._(
                "The target answered 410 Gone: nothing is sent until Close Circuit "
                "is pressed."
            ),
            "closed": self.env._("The target answers again: sending resumes."),
        }
        if after not in words or (before == "half_open" and after == "open"):
            return
        # Mails are sent by the mail queue: a lane must not wait for a mail server.
        endpoint = self.with_context(mail_notify_force_send=False)
        if after == "closed" and endpoint._close_alerts(RESTING, words[after]):
            return
        endpoint.message_post(body=words[after])
        if after == "closed" or not self._wants_notification(RESTING):
            return
        if not self._alerts().search_count(self._alert_domain(RESTING), limit=1):
            endpoint._alert(
                RESTING, self.env._("Webhook target is failing"), words[after]
            )

    def _circuit_reset(self):
        """A user closed the circuit: post it on the endpoint."""
        note = self.env._(
            "%s pressed Close Circuit: sending resumes.", self.env.user.name
        )
        for endpoint in self:
            if not endpoint._close_alerts(RESTING, note):
                endpoint.sudo().message_post(body=note)

    # Their parts

    def _alerts(self):
        return self.env["mail.activity"].sudo()

    def _alert_domain(self, xml_id):
        return [
            ("res_model", "=", self._name),
            ("res_id", "in", self.ids),
            ("activity_type_id", "=", self._alert_type(xml_id)),
        ]

    def _alert_type(self, xml_id):
        """Id of the activity type; False if it was deleted."""
        return self.env["ir.model.data"]._xmlid_to_res_id(
            xml_id, raise_if_not_found=False
        )

    def _wants_notification(self, xml_id):
        """Whether to notify; False without the type, which closing relies on."""
        return bool(self.responsible_id and self._alert_type(xml_id))

    def _may_notify(self):
        """False while another lane of this endpoint notifies."""
        self.env.cr.execute(sql.try_alerts(self.id))
        return self.env.cr.fetchone()[0]

    def _alert(self, xml_id, summary, note):
        user = self.responsible_id
        endpoint = self.with_context(mail_notify_force_send=False)
        lang = self._active_lang(user.lang)
        # Odoo writes the e-mail in the user's language, and fails if that is
        # archived: then create the activity without an e-mail.
        endpoint = endpoint.with_context(
            lang=lang, mail_activity_quick_update=bool(user.lang and lang != user.lang)
        )
        endpoint.sudo().activity_schedule(
            xml_id, summary=summary, note=note, user_id=user.id
        )

    def _close_alerts(self, xml_id, note):
        """Close open activities with a note in the chatter; True if there were any.

        They are deleted, not marked as done: after a user marked one as done there is
        no other today, after an automatic close there may be.
        """
        self.ensure_one()
        activities = self._alerts().search(self._alert_domain(xml_id))
        if not activities:
            return False
        names = ", ".join(activities.user_id.mapped("name"))
        self.sudo().with_context(mail_notify_force_send=False).message_post(
            body=self.env._(
                "%(note)s The activity of %(names)s is closed.", note=note, names=names
            )
        )
        activities.unlink()
        return True
