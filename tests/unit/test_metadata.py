# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What guides, messages and packages say in several places says the same in each."""

import ast
import re
import subprocess
import sys
from pathlib import Path

from tools import readme

ROOT = Path(__file__).resolve().parents[2]
# Odoo 19's own default, then queue_job: without `rpc` no XML-RPC or JSON-RPC answers.
SERVER_WIDE = "base,rpc,web,queue_job"
LICENCE = """\
# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""
# Odoo doesn't start without these. psycopg2 may be installed as psycopg2-binary, which
# Odoo's check of a manifest's dependencies doesn't find.
PART_OF_ODOO = {"odoo", "babel", "markupsafe", "psycopg2", "pytz"}


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


def test_every_python_file_names_its_licence():
    """Each file starts with the two lines that OCA's guidelines require."""
    assert [] == [path for path, text in texts("*.py") if not text.startswith(LICENCE)]


def test_dependencies_are_declared():
    """Manifest and package name each library that the addon imports.

    pip and Odoo refuse to install the addon without them, instead of failing at the
    first delivery.
    """
    imported = {
        library
        for path, text in texts("*.py")
        if not path.startswith(("tests/", "tools/", "benchmarks/"))
        for library in imported_libraries(text)
    }
    manifest = ast.literal_eval((ROOT / "__manifest__.py").read_text())
    declared = set(manifest["external_dependencies"]["python"])
    project = (ROOT / "pyproject.toml").read_text()

    assert declared == imported - PART_OF_ODOO
    assert [] == [name for name in declared if f'    "{name}",\n' not in project]


def imported_libraries(text):
    """Top-level names that a file imports from outside the standard library."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        else:
            continue
        for name in names:
            library = name.partition(".")[0]
            if library not in sys.stdlib_module_names:
                yield library


def test_readme_was_generated():
    """README.rst and the page of the Apps list are those of the fragments.

    If this fails, run `make readme`.
    """
    text = readme.readme()

    assert text == readme.README.read_text()
    assert readme.digest(text) in readme.PAGE.read_text()


def test_every_fragment_is_used():
    """A fragment with a name that isn't OCA's would be missing in the README."""
    text = " ".join(readme.README.read_text().split())
    fragments = list((ROOT / "readme").iterdir())

    assert len(fragments) >= 9
    for path in fragments:
        assert " ".join(path.read_text().split()) in text, path.name


def test_one_licence():
    """Package, manifest, licence text and README name the same licence."""
    project = (ROOT / "pyproject.toml").read_text()
    manifest = ast.literal_eval((ROOT / "__manifest__.py").read_text())
    heading = (ROOT / "LICENSE").read_text().split()[:10]

    assert 'license = "LGPL-3.0-or-later"' in project
    assert 'license-files = ["LICENSE"]' in project
    assert "LGPL-3" == manifest["license"]  # Odoo's one word for it
    assert "GNU LESSER GENERAL PUBLIC LICENSE Version 3, 29 June 2007" == " ".join(
        heading
    )
    assert "LGPL-3.0 or later." in (ROOT / "README.rst").read_text()


def test_versions():
    """The version that is installed has its section, newest first, as have migrations.

    The package takes its version from the manifest.
    """
    manifest = ast.literal_eval((ROOT / "__manifest__.py").read_text())
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    versions = [re.findall(r"19\.0\.\d+\.\d+\.\d+", each) for each in headings]
    listed = [each for found in versions for each in reversed(found)]

    assert listed == sorted(listed, key=_numbers, reverse=True)
    assert (manifest["version"], "19.0.1.0.0") == (listed[0], listed[-1])
    for folder in (ROOT / "migrations").iterdir():
        assert _numbers(listed[-1]) < _numbers(folder.name) <= _numbers(listed[0])
    assert "__manifest__.py" in (ROOT / "pyproject.toml").read_text()


def _numbers(version):
    return [int(part) for part in version.split(".")]
