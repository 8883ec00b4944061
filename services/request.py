# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The request that rules, handlers and hooks shape before it is sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import ConfigurationError, _lt
from .files import is_several
from .frozen import FrozenOnRead
from .headers import header_text, is_token
from .jsonable import to_json_value

BODY_MODES = ("json", "form_urlencoded", "multipart", "raw", "csv")
_NO_FILES = object()


@dataclass(frozen=True, init=False)
class OutboundRequest:
    """One request before it is encoded; every change creates a new one.

    Headers, payload and files are immutable at every depth: a write raises
    `ImmutableRequestError`, which names `with_overrides`.

    target_url: absolute, rendered
    http_method: lower case
    request_body_mode: one of `BODY_MODES`
    headers: name -> text
    payload: any JSON value; text or bytes in the mode "raw", text also in "csv"
    files: form field -> file (see `transport.normalize_request_files`)

    `long_texts` are base64 texts in the payload, which attempts show by their size; a
    request that a handler makes of a dict has none.
    """

    target_url: str
    http_method: str
    request_body_mode: str
    headers: dict
    payload: object
    files: dict = field(default_factory=dict)

    def __init__(
        self,
        target_url,
        http_method,
        request_body_mode,
        headers,
        payload,
        files=_NO_FILES,
        long_texts=(),
    ):
        # The one of a frozen dataclass takes five times as long.
        vars(self).update(
            long_texts=long_texts,
            target_url=target_url,
            http_method=http_method,
            request_body_mode=request_body_mode,
            headers=headers,
            payload=payload,
            files={} if files is _NO_FILES else files,
        )

    @classmethod
    def from_dict(cls, data, *, default_body_mode="json"):
        """A request from the dict of `to_dict`; absent keys count as empty.

        None or False as payload becomes `{}`.
        """
        mode = str(data.get("request_body_mode") or default_body_mode).strip().lower()
        return cls(
            target_url=str(data.get("target_url") or ""),
            http_method=str(data.get("http_method") or "").strip().lower(),
            request_body_mode=mode,
            headers=_header_texts(data.get("headers") or {}),
            payload=_payload(data.get("payload"), mode),
            files=_copy_files(data.get("files") or {}),
        )

    def to_dict(self):
        """The request as a plain dict: a deep copy."""
        return {
            "target_url": self.target_url,
            "http_method": self.http_method,
            "request_body_mode": self.request_body_mode,
            "headers": dict(self.raw("headers")),
            "payload": _payload(self.raw("payload"), self.request_body_mode),
            "files": _copy_files(self.raw("files")),
        }

    def raw(self, name):
        """The stored value of a field, which may be a plain dict.

        For readers that neither modify it nor pass it on: it isn't frozen for them.
        """
        return vars(self)[name]

    def replaced(self, **changes):
        """A request with these fields replaced; shares the others, without freezing."""
        return OutboundRequest(**(vars(self) | changes))

    def deep_copy(self):
        """An equal request that shares nothing with this one.

        Raises PayloadError if the payload is not valid JSON.
        """
        return OutboundRequest(**self.to_dict())

    def with_overrides(self, raw):
        """A copy with the request keys of a handler's result dict applied.

        `target_url`, `http_method` and `request_body_mode` (or `transport_mode`)
        replace when not empty, `headers` replaces all unless None, `payload` and
        `files` replace when the key is there; other keys are ignored.
        Raises ConfigurationError, PayloadError.
        """
        changes = {}
        if raw.get("target_url"):
            changes["target_url"] = str(raw["target_url"])
        if raw.get("http_method"):
            changes["http_method"] = str(raw["http_method"]).strip().lower()
        mode = raw.get("request_body_mode") or raw.get("transport_mode")
        if mode:
            changes["request_body_mode"] = str(mode).strip().lower()
        if raw.get("headers") is not None:
            changes["headers"] = _header_texts(raw["headers"])
        if "payload" in raw:
            mode = changes.get("request_body_mode", self.request_body_mode)
            changes["payload"] = _payload(raw["payload"], mode)
        if "files" in raw:
            changes["files"] = _copy_files(raw["files"] or {})
        return self.replaced(**changes) if changes else self

    def assert_valid(self, valid_body_modes=BODY_MODES):
        """Raise ConfigurationError unless method, body mode and files make sense."""
        if self.request_body_mode not in valid_body_modes:
            raise ConfigurationError(
                _lt('body mode "%(mode)s" doesn\'t exist. Use one of: %(modes)s.'),
                mode=self.request_body_mode,
                modes=", ".join(valid_body_modes),
            )
        if not is_token(self.http_method):
            raise ConfigurationError(
                _lt(
                    '"%(method)s" is not a valid HTTP method. Use post, put, patch '
                    "or delete."
                ),
                method=self.http_method,
            )
        files = self.raw("files")
        if not isinstance(files, dict):
            raise ConfigurationError(
                _lt(
                    "files must be a mapping of form fields to files, not %(type)s."
                    ' Give {"field": {"filename": ..., "content": ...}}.'
                ),
                type=type(files).__name__,
            )

    @property
    def multipart_file_keys_label(self):
        """Sorted form fields of the files, joined by ", "; False without files."""
        return ", ".join(sorted(map(str, self.raw("files")))) or False


for _name in ("headers", "payload", "files"):
    setattr(OutboundRequest, _name, FrozenOnRead(_name))


def _header_texts(headers):
    if not isinstance(headers, Mapping):
        raise ConfigurationError(
            _lt(
                "headers must be a mapping of names to values, not %(type)s."
                ' Give {"Header-Name": "value"}.'
            ),
            type=type(headers).__name__,
        )
    return {str(name): header_text(value, str(name)) for name, value in headers.items()}


def _payload(payload, mode):
    if payload is None or payload is False:
        return {}
    if mode == "raw" and isinstance(payload, bytes):
        return payload
    return to_json_value(payload, "payload")


def _copy_files(files):
    if not isinstance(files, Mapping):
        return files  # assert_valid reports it, with all other errors
    return {key: _copy_file(each) for key, each in files.items()}


def _copy_file(file):
    if isinstance(file, Mapping):
        return dict(file)
    if is_several(file):
        return [dict(each) for each in file]
    return file
