# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The wheel, built and installed as by somebody who has no repository."""

import subprocess
import sys
import zipfile

from stage import database_name

from tools import fetch
from tools.databases import Databases
from tools.workspace import ADDON, REPOSITORY, child_environment

SEND = """
import odoo.addons.bwt_webhooks_outbound as addon
shop = env["bwt.webhook.outbound.endpoint"].create({{
    "name": "Shop", "code": "shop", "state": "active",
    "target_hostname": "{url}", "target_path": "/orders",
}})
delivery = shop.queue_delivery({{"order": "S00042"}})
delivery.process_delivery()
print(delivery.state, addon.__file__)
"""


def run(*command, **options):
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        check=False,
        text=True,
        env=child_environment(),
        **options,
    )
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout


def test_installed_from_a_wheel(cluster, receiver, tmp_path):
    """Odoo installs the addon from the wheel without a warning, and a delivery arrives.

    A file that only the repository has would be missed by everybody else.
    """
    place = tmp_path / "site"
    run(
        *(fetch.odoo_python(), "-m", "hatchling", "build", "-t", "wheel"),
        *("-d", tmp_path),
        cwd=REPOSITORY,
    )
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
        *("--no-compile", "--target", place, wheel),
    )
    databases, name = Databases(cluster), database_name("wheel")
    addons = f"--addons-path={place / 'odoo' / 'addons'}"
    databases.fresh(name, install=())
    try:
        log = databases.install(name, ADDON, arguments=[addons])
        said = databases.run(
            *(name, "shell", "--no-http", "--log-level=warn", addons),
            script=SEND.format(url=receiver.url),
            merge=False,
        )
    finally:
        databases.drop(name)

    assert not [each for each in names if f"{ADDON}/tools/" in each]
    for line in log.splitlines():
        assert " ERROR " not in line
        assert not (" WARNING " in line and ADDON in line), line
    state, path = said.split()[-2:]
    assert "done" == state
    assert path.startswith(str(place))
    [request] = receiver.requests
    assert {"order": "S00042"} == request.json()
