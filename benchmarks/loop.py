# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a script would do: one process, one `requests.Session`, sequential requests.

    python benchmarks/loop.py samples.json COUNT

The file contains a URL and samples of headers and payload. Prints the seconds it took.
"""

import itertools
import json
import sys
import time
import uuid
from pathlib import Path

import requests


def main():
    """Send, then print how long it took."""
    given = json.loads(Path(sys.argv[1]).read_text())
    count, url = int(sys.argv[2]), given["url"]
    samples = itertools.islice(itertools.cycle(given["samples"]), count)
    work = [
        (each["payload"], each["headers"] | {"webhook-id": uuid.uuid4().hex})
        for each in samples
    ]
    with requests.Session() as session:
        started = time.monotonic()
        for payload, headers in work:
            response = session.post(url, json=payload, headers=headers, timeout=30)
            response.raise_for_status()
        print(time.monotonic() - started)


if __name__ == "__main__":
    main()
