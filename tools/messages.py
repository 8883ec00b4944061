# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""docs/messages*.md: every message of the addon, collected from the code.

Run by `make readme`. Read are `_lt(...)` and `env._(...)`, the messages of unique
indexes and constraints, and the alerts of the forms.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
PROBLEMS = ROOT / "docs" / "problems.md"
FOLDERS = ("lane", "models", "services", "wizards", "controllers")
NOTE = """\
Generated from the code by `make readme`; `<name>` is a value.
One about a record begins with it, as in `Endpoint "Shop orders" (shop-orders): ...`.
What the common ones look like, and what to do: [Common problems](problems.md).
"""
SENDING = """\
# Messages while sending

What deliveries, attempts, endpoints and the job runner show.
Those of settings and queueing are on [another page](messages_settings.md).
"""
SETTINGS = """\
# Messages of settings and queueing

What is shown when settings, rules and actions are saved and when deliveries are queued.
Those of deliveries and attempts are on [another page](messages.md).
"""
REFUSALS = {
    *("ConfigurationError", "EgressRefused", "NotResolved", "PayloadError"),
    *("ValidationError", "UserError", "AccessError", "MissingValue", "_fault"),
    *("misconfigured", "refused", "_refused", "_outbound_fault", "TokenRefused"),
}
# Where a message of a file appears; other files: by their folder, see `group_of`.
GROUPS = {
    "Nothing is sent": ("lane/diagnostics", "models/endpoint_health"),
    "On a delivery": (
        *("models/delivery_", "models/build_scope", "models/attempt"),
        *("wizards/send_test", "wizards/recover"),
    ),
    "A request fails": (
        *("services/failure_text", "services/http/", "services/egress/"),
        *("services/oauth", "services/shortage", "services/transport"),
    ),
    "Queueing": (
        *("models/queue_request", "models/endpoint_queue", "models/context_line"),
        *("models/connector_mixin", "services/files", "services/jsonable"),
        "services/request",
    ),
    "Server actions": (
        *("models/action_", "models/ir_actions_server", "models/record_payload"),
    ),
    "Handlers": ("models/handler", "models/rule_engine", "services/outcome"),
    "Secrets": ("services/secrets", "models/endpoint_secrets"),
    "Paths, values and rules": (
        *("models/field_", "models/path_", "models/payload_", "models/record_"),
        *("models/value_", "services/"),
    ),
    "Runs": ("models/run", "models/reconciliation", "models/forget"),
    "Dry runs": ("models/dry_run", "lane/isolation"),
    "Moving configuration": (
        *("models/configuration_", "wizards/export_conf", "wizards/import_conf"),
    ),
    "On an endpoint": ("models/", "wizards/"),
    "While a lane sends": ("lane/", "controllers/"),
}
FORMS = "On the forms"
NOUNS = "services/egress/address_ranges.py"  # kinds of networks
PAGES = {
    "messages.md": (
        SENDING,
        *("Nothing is sent", "On a delivery", "A request fails", "While a lane sends"),
        *("Runs", "Dry runs"),
        "Moving configuration",
        "Secrets",
        FORMS,
    ),
    "messages_settings.md": (
        SETTINGS,
        *("On an endpoint", "Paths, values and rules", "Handlers", "Server actions"),
        "Queueing",
    ),
}


@dataclass(frozen=True)
class Text:
    """A translatable text of a file.

    call: the innermost function that gets it, as `ConfigurationError`; "" for none
    """

    file: str
    text: str
    call: str = ""

    @property
    def shown(self) -> str:
        """The text with `<name>` for each value."""
        text = re.sub(r"%\((\w+)\)[sd]", r"<\1>", self.text)
        text = text.replace("%s", "<...>").replace("%%", "%")
        return re.sub(r"\s+", " ", text).strip()

    @property
    def is_message(self) -> bool:
        """Whether it is a sentence or a reason: not a label, a title or a unit."""
        if self.text.endswith((".", "?", ": %(error)s")):
            return True
        return len(self.text.split()) > 3 and self.call != "" and self.file != NOUNS

    @property
    def is_refusal(self) -> bool:
        """Whether it refuses something, so that it must say what to do."""
        return self.call in REFUSALS


def texts() -> list[Text]:
    """All translatable texts of the Python files, in their order."""
    found = []
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            found += _texts_of(ast.parse(path.read_text()), name, "")
    return found


def _texts_of(node, file, call):
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func).rpartition(".")[2]
        first = node.args[0] if node.args else None
        if name in ("_lt", "_") and isinstance(first, ast.Constant):
            yield Text(file, first.value, call)
            return
        if name in ("UniqueIndex", "Constraint") and len(node.args) > 1:
            yield Text(file, node.args[1].value, "ValidationError")
            return
        call = name
    for child in ast.iter_child_nodes(node):
        yield from _texts_of(child, file, call)


def alerts() -> list[str]:
    """The texts of the alerts in the forms; `<name>` for a field."""
    found = []
    for folder in ("views", "wizards"):
        for path in sorted((ROOT / folder).glob("*.xml")):
            for each in ElementTree.parse(path).iter():
                if "alert" in each.get("class", "").split():
                    found.append(re.sub(r"\s+", " ", "".join(_inner(each))).strip())
    return [text for text in found if len(re.sub(r"<\w+>", "", text).split()) > 3]


def _inner(element):
    yield element.text or ""
    for child in element:
        if child.tag == "field":
            yield f"<{child.get('name')}>"
        elif child.tag != "button":
            yield from _inner(child)
        yield child.tail or ""


def group_of(file) -> str:
    """The heading for the messages of a file."""
    for group, prefixes in GROUPS.items():
        if file.startswith(prefixes):
            return group
    raise LookupError(f"tools/messages.py: no group for the messages of {file}")


def problems() -> list[str]:
    """Headings of docs/problems.md: each is the beginning or a part of a message."""
    if not PROBLEMS.exists():
        return []
    return re.findall(r"^### (.*)$", PROBLEMS.read_text(), re.MULTILINE)


def fits(problem, shown) -> bool:
    """Whether a heading, with `...` for values, is a part of a message."""
    parts = [re.escape(part.strip("` ")) for part in problem.split("...")]
    return re.search(r".*?".join(parts), shown, re.IGNORECASE) is not None


def anchor(heading) -> str:
    """The anchor that GitHub gives to a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.lower())
    return kept.replace(" ", "-")


def grouped() -> dict[str, set]:
    """The messages by their heading, each once."""
    groups = {group: set() for group in (*GROUPS, FORMS)}
    listed = set()
    for each in texts():
        if each.is_message and each.shown not in listed:
            listed.add(each.shown)
            groups[group_of(each.file)].add(each.shown)
    groups[FORMS] = set(alerts()) - listed
    return groups


def pages() -> dict[str, str]:
    """The texts of the pages, by file name."""
    groups, headings = grouped(), problems()
    found = {}
    for name, (intro, *names) in PAGES.items():
        lines = [intro + NOTE, *(f"- [{each}](#{anchor(each)})" for each in names)]
        for group in names:
            lines += ["", f"## {group}", ""]
            lines += [
                _line(each, headings) for each in sorted(groups[group], key=_order)
            ]
        found[name] = "\n".join(lines) + "\n"
    return found


def _order(text):
    return re.sub(r"[^a-z]", "", text.lower()), text


def _line(message, headings):
    found = next((each for each in headings if fits(each, message)), None)
    more = f" ([what to do](problems.md#{anchor(found)}))" if found else ""
    quote = "``" if "`" in message else "`"
    return f"- {quote}{message}{quote}{more}"


def write():
    """Write the pages."""
    for name, text in pages().items():
        (ROOT / "docs" / name).write_text(text)
