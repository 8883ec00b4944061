# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The one place where messages and errors of services are translated."""

from ..services.errors import Message, ServiceError, _lt

_WITH_PLACE = _lt("%(where)s: %(problem)s")


def translate(env, said, /, **values) -> str:
    """`said` in the language of `env`.

    :param said: a service error, a `Message`, or a template marked with `_lt`
    :param values: of the template; those that are an error or a `Message` are
        translated too
    """
    where = ""
    if isinstance(said, ServiceError):
        where, said = said.where, said.message
    if isinstance(said, Message):
        said, values = said.template, said.values
    values = {
        name: translate(env, value)
        if isinstance(value, ServiceError | Message)
        else value
        for name, value in values.items()
    }
    text = env._(said, **values)  # pylint: disable=W8301  # exported by `_lt`
    return translate(env, _WITH_PLACE, where=where, problem=text) if where else text
