# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""pytest plugin: `--without-tag=TAG` leaves out tests with this tag of Odoo's."""


def pytest_addoption(parser):
    parser.addoption("--without-tag", default="", metavar="TAG")


def pytest_collection_modifyitems(config, items):
    tag = config.getoption("--without-tag")
    left_out = [item for item in items if tag in getattr(item.cls, "test_tags", ())]
    if tag and left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
