# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import models

from ..lane.prepare import prepare_batch
from ..lane.stages import Claimed, Decided, Prepared
from ..models.refusal import capitalized
from ..services.masking import mask_headers, mask_text, mask_url
from ..services.preflight import judge_target

LOOKUP_SECONDS = 5
SHOWN = 64 * 1024  # characters of a body


class SendTestLook(models.AbstractModel):
    """Builds a test's request by the lane's own steps, shows it, and undoes it all."""

    _name = "bwt.webhook.outbound.send.test.look"
    _description = "Outbound Webhook: Send Test, Look"

    def action_look(self):
        """Show what would go out and what the guard says; nothing is sent or kept."""
        self.ensure_one()
        self._check_may_test()
        plan = self.endpoint_id.sudo()._outbound_plan()
        shown = {"outcome": False, "request_line": False, "verdict": False}
        shown |= {"request_headers": False, "request_body": False, "is_allowed": False}
        shown["is_unresolved"] = False
        with self.env.cr.savepoint() as savepoint:
            delivery = self._make_delivery()
            claimed = Claimed(delivery.id, delivery.name, "draft", 0, 0, 0, None)
            [stage] = prepare_batch(delivery, plan, [claimed])
            shown |= self._shown(stage, plan)
            savepoint.rollback()
        self._record(shown | {"step": "look"})
        return self._again()

    def _shown(self, stage, plan):
        """What of a stage of the lane is shown, secrets masked."""
        secrets = plan.trust.secrets
        if isinstance(stage, Prepared):
            wire = stage.wire
            body = (wire.body or b"").decode("utf-8", "replace")
            return {
                "request_line": _masked(f"{wire.method} {mask_url(wire.url)}", secrets),
                "request_headers": _masked(
                    "\n".join(f"{k}: {v}" for k, v in mask_headers(wire.headers)),
                    secrets,
                ),
                "request_body": _masked(body[:SHOWN], secrets),
                **self._judged(wire.url, plan),
            }
        if isinstance(stage, Decided):
            outcome = stage.outcome
            text = self.env._(
                "Nothing would go out: the handler decides %(status)s. %(note)s",
                status=outcome.status,
                note=outcome.note or "",
            )
            return {"outcome": _masked(text.strip(), secrets)}
        return {"outcome": _masked(stage.error, secrets)}

    def _judged(self, url, plan):
        verdict = judge_target(url, plan.trust.egress, timeout=LOOKUP_SECONDS)
        return {
            "verdict": self._verdict_words(verdict, plan.schedule),
            "is_allowed": not verdict.refusal,
            "is_unresolved": verdict.is_unresolved,
        }

    def _verdict_words(self, verdict, schedule):
        if verdict.refusal:
            template, values = verdict.refusal
            text = capitalized(self.env._(template, **values))  # pylint: disable=W8301
            if not verdict.is_unresolved:
                return text
            if not schedule.delays:
                return self.env._(
                    "%s A delivery would be a dead letter: the endpoint has no retry "
                    "schedule.",
                    text,
                )
            return self.env._(
                "%s A delivery would be tried again on the schedule.", text
            )
        if verdict.addresses == (verdict.host,):
            return self.env._("%s may be sent to.", verdict.host)
        return self.env._(
            "%(host)s is at %(addresses)s and may be sent to.",
            host=verdict.host,
            addresses=", ".join(verdict.addresses),
        )


def _masked(text, secrets):
    return mask_text(text, secrets) if secrets else text
