# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What guides, messages and packages say in several places says the same in each."""

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Odoo 19's own default, then queue_job: without `rpc` no XML-RPC or JSON-RPC answers.
SERVER_WIDE = "base,rpc,web,queue_job"


def texts(*patterns):
    """Path and text of each file of the repository that matches."""
    command = ["git", "-C", ROOT, "ls-files", "--", *patterns]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [
        (path, (ROOT / path).read_text())
        for path in listed.split()
        if "i18n" not in path
    ]


def test_odoo_keeps_its_other_interfaces():
    """Following a guide or a message doesn't switch XML-RPC and JSON-RPC off."""
    named = [
        (path, found)
        for path, text in texts("*.py", "*.md", "*.rst", "*.xml", "*.html")
        for found in re.findall(
            r"\bbase(?:, ?[\w]+)+\b", re.sub(r'"\s*\n\s*"', "", text)
        )
        if "queue_job" in found
    ]

    assert len(named) >= 6
    assert [] == [(path, found) for path, found in named if found != SERVER_WIDE]


def test_one_licence():
    """The package's metadata says what the licence's text and the sources say."""
    project = (ROOT / "pyproject.toml").read_text()
    manifest = ast.literal_eval((ROOT / "__manifest__.py").read_text())
    heading = (ROOT / "LICENSE").read_text().split()[:10]
    headers = {
        line
        for _path, text in texts("*.py")
        for line in re.findall(r"^# License .*", text, re.M)
    }

    assert 'license = "LGPL-3.0-or-later"' in project
    assert 'license-files = ["LICENSE"]' in project
    assert "LGPL-3" == manifest["license"]  # Odoo's one word for it
    assert "GNU LESSER GENERAL PUBLIC LICENSE Version 3, 29 June 2007" == " ".join(
        heading
    )
    assert {
        "# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl)."
    } == headers
    assert "LGPL-3.0 or later." in (ROOT / "README.rst").read_text()
