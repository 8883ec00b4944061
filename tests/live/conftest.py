"""What the live tests stand on: one cluster, a database to copy, a shared server."""

import sys
from pathlib import Path

import pytest
from stage import serving, stage

from receiver import Receiver
from tools.databases import Databases
from tools.postgres import Cluster

ORIGIN = "live_origin"


@pytest.fixture(scope="session")
def cluster():
    with Cluster.running() as running:
        yield running


@pytest.fixture(scope="session")
def origin(cluster):
    """Name of a database with the addon installed, for copies."""
    databases = Databases(cluster)
    databases.fresh(ORIGIN)
    yield ORIGIN
    databases.drop(ORIGIN)


@pytest.fixture(scope="session")
def house(cluster, origin):
    """The stage of all tests that leave the server alone: each has its endpoints."""
    with stage(cluster, "live_house", origin=origin) as made:
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
