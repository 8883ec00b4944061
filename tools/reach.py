# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Which test files reach a library, by what they import and what that imports."""

import ast
from pathlib import Path

from tools.workspace import REPOSITORY

HELPERS = REPOSITORY / "tests"  # tests import these as top-level modules


def files_that_reach(folder, libraries) -> list[Path]:
    """Test files of a folder that import one of these, or a module that does."""
    paths = sorted(folder.glob("test_*.py"))
    return [path for path in paths if _reaches(path, libraries, {path})]


def _reaches(path, libraries, seen):
    for name in _imported(path):
        if name.split(".")[0] in libraries:
            return True
        for found in _files(name, path.parent):
            if found not in seen:
                seen.add(found)
                if _reaches(found, libraries, seen):
                    return True
    return False


def _imported(path):
    """Absolute dotted names of all that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = [node.module] if node.module else []
            if node.level:
                package = path.parents[node.level - 1].relative_to(REPOSITORY)
                parts = [*package.parts, *parts]
            yield from (".".join([*parts, alias.name]) for alias in node.names)


def _files(name, folder):
    """Our files that are loaded for this name: packages, and the module itself."""
    parts = name.split(".")
    for root in (REPOSITORY, HELPERS, folder):
        for end in range(1, len(parts) + 1):
            place = root.joinpath(*parts[:end])
            for path in (place.with_suffix(".py"), place / "__init__.py"):
                if path.is_file():
                    yield path
