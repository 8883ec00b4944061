# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The engine that a queue_job worker runs: plain Python over a cursor.

``lane.py`` is the main path, ``sql.py`` every statement it makes. Only ``jobs.py`` and
``job_sql.py`` know queue_job.
"""
