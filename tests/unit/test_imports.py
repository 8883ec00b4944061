# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The direction of imports: models -> lane -> services, never back."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ADDON = "odoo.addons.bwt_webhooks_outbound"
PARTS = ("services", "lane", "models", "wizards", "controllers")
MAY_IMPORT = {
    "services": set(),
    "lane": {"services"},
    "models": {"services", "lane"},
    "wizards": {"services", "lane", "models"},
    "controllers": {"services", "lane", "models"},
}
# A statement on its tables, its models in code, a job that is made.
KNOWS_QUEUE_JOB = re.compile(
    r"(?:FROM|UPDATE|JOIN|INTO|ON)\s+queue_job|env\[\"queue\.job|\bwith_delay\(|"
    r"\bidentity_key\b|queue_job__no_delay|bwt_webhook_outbound:"
)
SOURCES = sorted(
    path for part in PARTS for path in (ROOT / part).rglob("*.py") if path.is_file()
)


def imported_names(source, package):
    """Absolute dotted names of all that a module of `package` imports.

    The addon's root is the name "addon".
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield absolute(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node.module or "")
            if node.level:
                above = package.split(".")[: 1 - node.level or None]
                base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                yield f"{base}.{alias.name}"


def absolute(name):
    return "addon" + name.removeprefix(ADDON) if name.startswith(ADDON) else name


def package_of(path):
    return ".".join(["addon", *path.relative_to(ROOT).parent.parts])


def parts_imported(names):
    """The parts of the addon among `names`, also as plain top-level packages."""
    tops = (name.removeprefix("addon.").split(".")[0] for name in names)
    return {top for top in tops if top in PARTS}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path):
    """A part imports only from the parts below it, whatever form the import takes."""
    part = path.relative_to(ROOT).parts[0]
    names = list(imported_names(path.read_text(), package_of(path)))

    assert parts_imported(names) <= MAY_IMPORT[part] | {part}


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if path.relative_to(ROOT).parts[0] == "services"],
    ids=lambda path: path.stem,
)
def test_services_know_no_odoo(path):
    """A service imports nothing of Odoo and nothing of the addon outside services."""
    names = list(imported_names(path.read_text(), package_of(path)))

    assert not [name for name in names if name.split(".")[0] == "odoo"]
    assert not [
        name
        for name in names
        if name.startswith("addon") and not name.startswith("addon.services")
    ]


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in [*SOURCES, ROOT / "hooks.py"]
        if path.relative_to(ROOT).as_posix() not in ("lane/jobs.py", "lane/job_sql.py")
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_queue_job_is_behind_one_door(path):
    """Only two files know queue_job: a new version of it changes nothing else."""
    source = path.read_text()

    assert not [
        name
        for name in imported_names(source, package_of(path))
        if name.startswith("odoo.addons.queue_job")
    ]
    assert not KNOWS_QUEUE_JOB.findall(source)


@pytest.mark.parametrize("name", ["exceptions", "callback"])
def test_root_modules_import_no_part(name):
    """What models and lane share at the root imports neither of them back."""
    source = (ROOT / f"{name}.py").read_text()

    assert not parts_imported(imported_names(source, "addon"))


@pytest.mark.parametrize(
    "statement",
    [
        "from ..models import endpoint",
        "from .. import models",
        "import odoo.addons.bwt_webhooks_outbound.models.endpoint",
        "from odoo.addons.bwt_webhooks_outbound import models",
        "from odoo.addons.bwt_webhooks_outbound.models import endpoint",
        "def later():\n    from ..models.endpoint import Endpoint",
    ],
)
def test_every_form_of_an_import_is_seen(statement):
    """An import back is found in every form, so that the tests above can fail."""
    assert {"models"} == parts_imported(imported_names(statement, "addon.lane"))


def test_services_work_in_a_plain_interpreter():
    """Every service can be imported from the repository's root without Odoo."""
    names = sorted(path.stem for path in (ROOT / "services").glob("[!_]*.py"))
    code = "import sys; sys.modules['odoo'] = None\n" + "\n".join(
        f"import services.{name}" for name in names
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )

    assert names
    assert 0 == done.returncode, done.stderr
