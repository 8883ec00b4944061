# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A sale order with its lines in the receiver's shape, by rules alone."""

import json
from pathlib import Path

import pytest
from stage import database_name

from tools.databases import SHOP_MODULES, Databases

SCRIPT = Path(__file__).with_name("payload_of_orders.py")
PER_HAND_MAX = 3.0


@pytest.fixture
def shop(cluster):
    """Name of a database with Sales and this addon."""
    databases = Databases(cluster)
    name = database_name("orders")
    try:
        databases.fresh(name, beside=SHOP_MODULES)
        yield name
    finally:
        databases.drop(name)


def test_orders_of_any_length(cluster, shop, capsys):
    """0, 1, 3 and 500 lines without notes, from an endpoint and from an action.

    Twenty rules with ten lines cost less than three times of the same dict written in
    Python.
    """
    script = f"{SCRIPT.read_text()}\nprint(json.dumps(results(env)))\n"

    printed = Databases(cluster).shell(shop, f"exec({script!r})\n")

    found = json.loads(printed.splitlines()[-1])
    for expected, by_endpoint, by_action in found["payloads"].values():
        assert expected == by_endpoint
        assert expected == by_action
    cost = found["cost"]
    with capsys.disabled():
        print(f"\nms per delivery, 20 rules with 10 lines: {cost}")
    assert cost["rules"] - cost["no rules"] < PER_HAND_MAX * cost["by hand"]
