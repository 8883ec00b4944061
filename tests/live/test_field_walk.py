# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Sales, invoicing, inventory and CRM: can every field be sent by a server action?"""

import json
from pathlib import Path

import pytest
from stage import database_name

from tools.databases import SHOP_MODULES, Databases

BUSINESS = SHOP_MODULES
WALK = Path(__file__).with_name("field_walk.py")


@pytest.fixture
def business(cluster):
    """Name of a database with the business addons, their demo data and this addon."""
    databases = Databases(cluster)
    name = database_name("business")
    try:
        databases.fresh(name, demo=True, beside=BUSINESS)
        yield name
    finally:
        databases.drop(name)


def test_every_field_is_read_or_refused(cluster, business, capsys):
    """A value is sent, or a message says why not; never a traceback in a user's save.

    `sale.order.tax_totals`, `ir.attachment.raw` and others ended in one.
    """
    script = f"{WALK.read_text()}\nprint(json.dumps(walk(env)))\n"

    printed = Databases(cluster).shell(business, f"exec({script!r})\n")

    found = json.loads(printed.splitlines()[-1])
    with capsys.disabled():
        print(
            f"\nfields of {found['models']} models: {found['fields']}; values read "
            f"{found['read']}, refused with a message {found['refused']}, tracebacks "
            f"{len(found['tracebacks'])}; models without records "
            f"{len(found['without_records'])}"
        )
        for message, count in found["messages"].items():
            print(f"  {count:5} {message}")
    assert [] == found["tracebacks"]
    assert found["read"] > 10_000
    for name in ("sale.order", "account.move", "stock.picking", "crm.lead"):
        assert name not in found["without_records"]
