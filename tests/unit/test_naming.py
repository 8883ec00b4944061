# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Technical names."""

import pytest

from services.naming import slugify_identifier


@pytest.mark.parametrize(
    "value, slug",
    [
        ("Shop Orders", "shop-orders"),
        ("  --Shop__42! ", "shop-42"),
        ("ready", "ready"),
        (42, "42"),
        (None, ""),
        (False, ""),
        ("***", ""),
    ],
)
def test_slug(value, slug):
    """Lower case letters and digits stay, runs of all else become one hyphen."""
    assert slug == slugify_identifier(value)
