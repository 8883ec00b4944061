# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import models
from odoo.exceptions import ValidationError
from odoo.tools import split_every

from .delivery_state import TAKEN, TRANSITIONS

BULK_CHUNK = 200


class DeliveryBulk(models.AbstractModel):
    """The buttons over many deliveries, beside lanes at work."""

    _name = "bwt.webhook.outbound.delivery.bulk"
    _description = "Outbound Webhook Delivery: Bulk Actions"

    def action_bulk(self, name):
        """Do what can be done of `name` (a key of the table) and say what could not.

        :return: a notification that counts what was done and names what was not
        """
        if name not in TRANSITIONS:
            raise ValidationError(self.env._("There is no bulk action %s.", name))
        self._check_operator()
        transition = TRANSITIONS[name]
        done, left = self.browse(), []
        for chunk in split_every(BULK_CHUNK, self.ids, self.browse):
            try:
                with self.env.cr.savepoint():
                    fit, unfit = chunk._lock_fitting(transition, wait=False)
                    fit._apply(name)
            except (*TAKEN, ValidationError):
                self.env.invalidate_all()
                fit, unfit = chunk._one_by_one(name)
            done += fit
            left += unfit
        return done._notify_bulk(transition, left)

    def _one_by_one(self, name):
        done, left = self.browse(), []
        for delivery in self:
            try:
                with self.env.cr.savepoint():
                    fit, unfit = delivery._lock_fitting(TRANSITIONS[name], wait=False)
                    fit._apply(name)
            except (*TAKEN, ValidationError) as error:
                self.env.invalidate_all()
                taken = isinstance(error, TAKEN)
                why = self.env._("being sent right now") if taken else str(error)
                fit, unfit = self.browse(), [(delivery, why)]
            done += fit
            left += unfit
        return done, left

    def _notify_bulk(self, transition, left):
        lines = [
            self.env._(
                "%(count)s %(done)s.",
                count=len(self),
                done=self.env._(transition.label),  # pylint: disable=W8301
            )
        ]
        if left:
            lines.append(self.env._("%s left as they are:", len(left)))
            lines += [f"{each.name} ({why})" for each, why in left[:5]]
            if len(left) > 5:
                lines.append(self.env._("and %s more", len(left) - 5))
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "warning" if left else "success",
                "message": "\n".join(lines),
                "className": "text-prewrap",  # else the lines run into one
                "next": {"type": "ir.actions.act_window_close"},
            },
        }
