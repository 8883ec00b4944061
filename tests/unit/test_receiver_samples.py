# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The receivers that the guide shows verify, store once and process once."""

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.signing import new_secret, standard_webhooks_headers

PAGE = Path(__file__).parents[2] / "docs" / "receivers.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILES = {"python": "receiver.py", "js": "receiver.js"}
SECRET = new_secret()


def samples(language):
    return [text for name, text in BLOCK.findall(PAGE.read_text()) if name == language]


class Sample:
    """A running receiver of the guide."""

    def __init__(self, command, folder):
        environment = dict(os.environ, WEBHOOK_SECRET=SECRET, PORT="0")
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
        )
        self.port = int(self.line().split()[-1])

    def line(self):
        """The next line that it prints."""
        return self.process.stdout.readline()

    def send(self, message_id, payload, *, secret=SECRET, late=0, change=b""):
        """The status of the response to a signed request."""
        body = json.dumps(payload).encode()
        headers = standard_webhooks_headers(
            [secret], message_id, time.time() - late, body
        )
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("POST", "/orders", body + change, headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(params=FILES)
def start(request, tmp_path):
    """Starts the receiver of a language, again after it was killed."""
    [text] = samples(request.param)
    (tmp_path / FILES[request.param]).write_text(text)
    program = {"python": sys.executable, "js": shutil.which("node")}[request.param]
    running = []

    def started():
        running.append(Sample([program, FILES[request.param]], tmp_path))
        return running[-1]

    yield started
    for each in running:
        each.stop()


def test_stored_and_processed_once(start):
    """A repetition gets 200 like the first, and only one of them is processed.

    Also after a kill; the message after a repetition shows that nothing came between.
    """
    receiver = start()
    for number in (1, 1, 2):
        assert 200 == receiver.send(f"id/{number}", {"number": number})
    lines = [receiver.line().split(maxsplit=2) for _message in range(2)]
    receiver.stop()
    receiver = start()
    for number in (1, 3):
        assert 200 == receiver.send(f"id/{number}", {"number": number})
    while "id/3" not in lines[-1]:
        lines.append(receiver.line().split(maxsplit=2))

    ids = [message_id for _word, message_id, _payload in lines]
    # The kill may have hit between the work and its mark: that of id/2 is repeated.
    assert ["id/1", "id/2", "id/3"] == [*dict.fromkeys(ids)]
    assert 1 == ids.count("id/1")
    assert {"number": 1} == json.loads(lines[0][2])


def test_what_is_not_signed_is_refused(start):
    """A forged, changed or recorded request is neither stored nor processed."""
    receiver = start()

    assert 401 == receiver.send("a", {}, secret=new_secret())
    assert 401 == receiver.send("b", {}, change=b" ")
    assert 401 == receiver.send("c", {}, late=330)
    assert 401 == receiver.send("d", {}, late=-330)
    assert 200 == receiver.send("e", {}, late=200)

    assert ["processed", "e"] == receiver.line().split()[:2]


def test_the_old_secret_during_a_rotation(start):
    """One of several signatures is enough: the endpoint signs with both secrets."""
    receiver = start()
    body = b"{}"
    headers = standard_webhooks_headers([new_secret(), SECRET], "f", time.time(), body)
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port)

    connection.request("POST", "/", body, headers)

    assert 200 == connection.getresponse().status
    connection.close()


@pytest.mark.skipif(not shutil.which("php"), reason="needs php")
@pytest.mark.parametrize("text", samples("php"))
def test_php_is_valid(text, tmp_path):
    """PHP accepts the samples."""
    (tmp_path / "sample.php").write_text(text)

    subprocess.run(["php", "-l", tmp_path / "sample.php"], check=True)
