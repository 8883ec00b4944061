# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Someone is told of what needs a person, and sending goes on whatever comes of it."""
# A lane commits its own cursor, step by step: what left must be on disk.
# pylint: disable=invalid-commit

import logging

_logger = logging.getLogger(__name__)


def tell_of_given_up(endpoint):
    """Tell the endpoint's responsible user, in a transaction of its own."""
    cr = endpoint.env.cr
    try:
        if endpoint._tell_of_given_up():
            _logger.info("told endpoint=%s of=given_up", endpoint.code)
        cr.commit()
    except Exception:  # whoever can't be told must not keep others from sending
        cr.rollback()
        _logger.warning("nobody told endpoint=%s", endpoint.id, exc_info=True)
