# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What an empty list shows: the first step as a button, for users who may press it."""

import re

CREATE = re.compile(r'<p class="o_bwt_webhook_create">.*?</p>', re.DOTALL)


def empty_list_help(model, help_message):
    """The help of an action's empty list, without its button if users may not create.

    :param model: an empty recordset of the action's model, maybe in superuser mode:
        that is how Odoo reads actions
    """
    if help_message and not model.sudo(False).has_access("create"):
        return CREATE.sub("", help_message)
    return help_message
