# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What holds for every test class of this addon."""

import unittest

from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound import tests

from .common import OutboundCase


def classes():
    """The test classes of this addon that Odoo's own runner has loaded."""
    ours = f"{tests.__name__}."
    found, left = set(), [unittest.TestCase]
    while left:
        subclasses = left.pop().__subclasses__()
        left += subclasses
        found.update(each for each in subclasses if each.__module__.startswith(ours))
    return sorted(found, key=lambda each: each.__qualname__)


@tagged("post_install", "-at_install")
class TestConventions(OutboundCase):
    def test_every_class_runs_after_the_installation(self):
        """Beside sale or stock, columns that they need aren't there before.

        A test that runs while modules load fails on a database with other addons,
        and passes on one without.
        """
        early = [
            each.__qualname__
            for each in classes()
            if "at_install" in each.test_tags or "post_install" not in each.test_tags
        ]

        self.assertIn(TestConventions, classes())
        self.assertEqual([], early)
