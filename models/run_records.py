# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The records of a run or a check, searched with the rights of a user."""

from odoo.fields import Domain

from .action_run import evaluate_filter


class MatchingRecords:
    """What the filter finds, in the companies that were chosen."""

    def __init__(self, run, user):
        action = run.sudo().action_id
        context = {
            "allowed_company_ids": run.company_ids_json or run.env.companies.ids,
            "lang": user.lang,
            "tz": user.tz,
        }
        env = run.env(user=user.id, su=False, context=context)
        self.model = env[action.model_id.model]
        self.domain = evaluate_filter(action.with_env(env).sudo(), run.domain)

    def count(self) -> int:
        return self.model.search_count(self.domain)

    def highest_id(self) -> int:
        return self.model.search(self.domain, order="id desc", limit=1).id or 0

    def behind(self, last_id, max_id, limit):
        """The next records in the order of their ids."""
        span = Domain("id", ">", last_id) & Domain("id", "<=", max_id)
        return self.model.search(self.domain & span, order="id", limit=limit)


def matching(run, user) -> MatchingRecords:
    """What the filter of a run or a reconciliation finds, for this user.

    :raise ValidationError: the filter can't be evaluated
    """
    return MatchingRecords(run, user)
