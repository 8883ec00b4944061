# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Odoo databases: copy from a template, install, update, query, remove.

Installing `mail` takes some twenty seconds, copying a database one. So a template
without this addon is kept per version of Odoo and queue_job, with and without demo
data. Each clone keeps a copy of it with this addon, until a file of the addon changes,
and every database starts as a copy of one of both.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools import fetch
from tools.console import Trouble, step
from tools.odoo_server import odoo_command, odoo_environment, write_config
from tools.workspace import (
    ADDON,
    REPOSITORY,
    addons_folder,
    cache,
    exclusive,
    folder,
    tail,
)

TEMPLATE_MODULES = ("mail", "queue_job", "base_automation", "contacts")
# Common addons of a database: required columns, rules, computed fields.
SHOP_MODULES = ("sale_management", "account", "stock", "crm")
PREFIX = "bwt_template_"
# Changes to these need no update of a database that has the addon.
NOT_INSTALLED = ("tests", "tools", "benchmarks", "docs", "readme", ".git", ".ci")


class Databases:
    """Operations on Odoo databases of one cluster."""

    def __init__(self, cluster):
        self.cluster = cluster

    def fresh(self, name, *, install=(ADDON,), demo=False, beside=()) -> str:
        """Create a database with these addons; returns the install log.

        One of the same name is removed first. `beside`: more addons of Odoo.
        """
        if ADDON in install:
            origin, log = self.with_addon(demo=demo, beside=beside)
        else:
            origin, log = self.template(demo=demo, beside=beside), ""
        self.drop(name)
        self._copy(origin, name)
        more = [addon for addon in install if addon != ADDON]
        return log + self.install(name, *more, demo=demo) if more else log

    def with_addon(self, *, demo=False, beside=()) -> tuple[str, str]:
        """Name of this clone's database to copy from that has this addon, and its log.

        Installed again when files of the addon or the template changed.
        """
        template = self.template(demo=demo, beside=beside)
        name = f"bwt_{addons_folder().name}_{template.removeprefix(PREFIX)}"
        log = folder("logs") / f"{name}.install.log"
        mark = f"{template} {source_mark([REPOSITORY])}"
        with exclusive(name):
            if self.mark(name) != mark or not log.exists():
                self.drop(name)
                self._copy(template, name)
                log.write_text(self.install(name, ADDON, demo=demo))
                self.set_mark(name, mark)
        return name, log.read_text()

    def mark(self, name) -> str | None:
        """What `set_mark` stored on a database; None if there is none."""
        found = self.cluster.rows(
            "postgres",
            "SELECT shobj_description(oid, 'pg_database') AS mark "
            f"FROM pg_database WHERE datname = '{name}'",
        )
        return found[0]["mark"] if found else None

    def set_mark(self, name, mark):
        """Store what a finished database was made from."""
        quoted = mark.replace("'", "''")
        self.cluster.execute(
            "postgres", f"COMMENT ON DATABASE \"{name}\" IS '{quoted}'"
        )

    def template(self, *, demo=False, beside=()) -> str:
        """Name of the database to copy from; created if missing."""
        modules = ",".join((*TEMPLATE_MODULES, *beside))
        mark = hashlib.sha256(f"{_versions()} {modules}".encode()).hexdigest()[:10]
        name = f"{PREFIX}{'demo_' if demo else ''}{mark}"
        with exclusive(name):
            if name not in self.cluster.databases():
                contents = "with demo data" if demo else "without demo data"
                contents += f" and with {', '.join(beside)}" * bool(beside)
                with step(f"once: a database {contents} to copy others from"):
                    self._build_template(name, modules.split(","), demo)
        return name

    def _build_template(self, name, modules, demo):
        part = f"{name}_part"  # renamed when complete
        self.drop(part)
        self.install(part, *modules, demo=demo)
        self._copy(part, name)
        self.drop(part)

    def _copy(self, source, name):
        filestore = folder("data", "filestore")
        shutil.rmtree(filestore / name, ignore_errors=True)
        if (filestore / source).exists():
            # Odoo writes a file once and never changes it: hard links will do.
            shutil.copytree(filestore / source, filestore / name, copy_function=_link)
        self.cluster.create(name, source)

    def install(self, name, *addons, demo=False, arguments=()) -> str:
        """`odoo -i`; returns its log."""
        return self._load(name, "-i", addons, demo, arguments)

    def update(self, name, *addons, demo=False, arguments=()) -> str:
        """`odoo -u`; returns its log."""
        return self._load(name, "-u", addons, demo, arguments)

    def _load(self, name, how, addons, demo, arguments):
        more = [*(["--with-demo"] if demo else []), *arguments]
        options = [how, ",".join(addons), "--stop-after-init", "--no-http", *more]
        return self.run(name, "server", *options)

    def uninstall(self, name, addon) -> str:
        """Uninstall an addon as the Apps menu does; returns the log."""
        script = (
            f"env['ir.module.module'].search([('name', '=', '{addon}')])"
            ".button_immediate_uninstall()\n"
        )
        return self.run(name, "shell", "--no-http", script=script)

    def shell(self, name, script) -> str:
        """Output of a Python script in `odoo shell` (with `env`); it may commit."""
        arguments = ["shell", "--no-http", "--log-level=warn"]
        return self.run(name, *arguments, script=script, merge=False)

    def run(self, name, command, *arguments, script=None, merge=True) -> str:
        """Run an Odoo command on a database until it ends; a failure raises.

        Returns its log, or with `merge=False` only what it printed.
        """
        with tempfile.TemporaryDirectory(dir=folder("run")) as home:
            config = Path(home, "odoo.conf")
            write_config(config, name)
            with open(Path(home, "odoo.log"), "w+") as log:
                result = subprocess.run(
                    odoo_command(*command.split(), "-c", config, *arguments),
                    env=odoo_environment(self.cluster),
                    input=script or "",
                    stdout=log if merge else subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
                log.seek(0)
                text = log.read()
            if result.returncode:
                kept = folder("logs") / f"{name}.log"
                kept.write_text(text)
                raise Trouble(
                    f"Odoo failed on {name}; the end of {kept}:\n{tail(kept)}"
                )
        return text if merge else result.stdout

    def drop(self, name):
        """Remove a database and its files, if there is one."""
        self.cluster.drop(name)
        shutil.rmtree(cache() / "data" / "filestore" / name, ignore_errors=True)


def source_mark(folders) -> str:
    """A digest of all files in these addons that an installed database depends on."""
    digest = hashlib.sha256()
    for root in folders:
        for path in sorted(root.rglob("*")):
            inside = path.relative_to(root)
            if inside.parts[0] in NOT_INSTALLED or "__pycache__" in inside.parts:
                continue
            if path.is_file():
                digest.update(str(inside).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _link(source, target):
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _versions():
    """What the template depends on, read without starting Odoo if possible."""
    if os.environ.get("ODOO_PYTHON"):
        question = "import odoo.release; print(odoo.release.version, odoo.__path__)"
        command = [str(fetch.odoo_python()), "-c", question]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            raise Trouble(f"ODOO_PYTHON can't import Odoo:\n{result.stderr.strip()}")
        return result.stdout
    installed = fetch.venv_folder("odoo").glob("lib/python*/site-packages/*.dist-info")
    names = sorted(path.name for path in installed if "queue_job" in path.name)
    metadata = next(fetch.dist_packages().glob("odoo-*.egg-info")) / "PKG-INFO"
    return f"{names} {metadata.stat().st_size} {int(metadata.stat().st_mtime)}"
