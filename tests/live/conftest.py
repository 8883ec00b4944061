# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the live tests use: one cluster, a database to copy, a shared server."""

import pytest
import server_logs
from stage import database_name, drop_old_databases, serving, stage

from receiver import Receiver
from tools.databases import Databases
from tools.postgres import Cluster


@pytest.fixture(scope="session")
def cluster():
    with Cluster.running() as running:
        drop_old_databases(running)
        yield running


@pytest.fixture(scope="session")
def origin(cluster):
    """Name of a database with the addon installed, for copies."""
    databases = Databases(cluster)
    name = database_name("origin")
    try:
        databases.fresh(name)
        yield name
    finally:
        databases.drop(name)


@pytest.fixture(scope="session")
def house(cluster, origin):
    """The stage of all tests that leave the server alone: each has its endpoints."""
    with stage(cluster, "house", origin=origin) as made:
        yield made


@pytest.fixture(scope="session")
def house_server(house):
    """Its threaded server, with room for the lanes of several tests."""
    with serving(house.cluster, house.database, channels="root:8") as server:
        yield server


@pytest.fixture
def receiver():
    with Receiver() as started:
        yield started


@pytest.fixture
def code(request):
    """A code for the test's endpoint."""
    return request.node.name.removeprefix("test_").replace("_", "-").lower()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the end of the servers' logs, and where they are kept."""
    report = yield
    if report.failed:
        for text in server_logs.report():
            report.sections.append(("log of the server", text))
    return report
