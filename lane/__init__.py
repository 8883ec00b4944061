"""The engine that a queue_job worker runs: plain Python over a cursor.

``lane.py`` is the main path, ``sql.py`` every statement it makes.
"""
