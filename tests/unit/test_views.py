# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""View files follow OCA's guidelines, so that others find and extend what is there."""

import ast
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path
    for folder in ("views", "wizards")
    for path in (ROOT / folder).glob("*.xml")
    if path.name != "menus.xml"
)
# The order of records in a file. A server action of a list's button comes first: Odoo
# looks it up when it loads the list.
KINDS = ("form", "list", "kanban", "search", "graph", "pivot", "action")


def records_of(path, kind):
    """Records of one model (Odoo's model of the record) in a file."""
    return ElementTree.parse(path).findall(f".//record[@model='{kind}']")


def value_of(record, name):
    """Text of a record's field."""
    return record.findtext(f"field[@name='{name}']")


def kind_of(record):
    """The place of a record in `KINDS`, by its XML id."""
    if record.get("model") == "ir.actions.act_window":
        return KINDS.index("action")
    parts = record.get("id").split("_")
    return next(place for place, kind in enumerate(KINDS) if kind in parts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_one_file_for_each_model(path):
    """A file has the views and window actions of the model that it is named after."""
    models = {value_of(view, "model") for view in records_of(path, "ir.ui.view")}
    models |= {
        value_of(action, "res_model")
        for action in records_of(path, "ir.actions.act_window")
    }

    assert [path.name] == [f"{name.replace('.', '_')}_views.xml" for name in models]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_records_are_in_the_usual_order(path):
    """Form, list, cards, search, charts, window actions."""
    kinds = [
        kind_of(record)
        for record in ElementTree.parse(path).iter("record")
        if record.get("model") != "ir.actions.server"
    ]

    assert sorted(kinds) == kinds


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_anchors_have_a_name(path):
    """Another addon extends a group, a page or a button by its name."""
    nameless = [
        (view.get("id"), element.tag, element.attrib)
        for view in records_of(path, "ir.ui.view")
        for element in view.iter()
        if element.tag in ("group", "page", "button") and not element.get("name")
    ]

    assert [] == nameless


def test_every_file_is_loaded():
    """The manifest lists each data file, and no other."""
    manifest = ast.literal_eval((ROOT / "__manifest__.py").read_text())
    folders = ("data", "security", "views", "wizards")
    files = {
        str(path.relative_to(ROOT))
        for folder in folders
        for pattern in ("*.xml", "*.csv")
        for path in (ROOT / folder).glob(pattern)
    }

    assert files == set(manifest["data"])
