"""Policies for tests, written in one line."""

from dataclasses import fields
from typing import Any

from resource_server.conf.providers import GENERIC
from resource_server.keys.key_source import KeySource
from resource_server.tokens.policy import Policy

_OF_KEYS = {field.name for field in fields(KeySource)}


def policy(**members: Any) -> Policy:
    """A Policy. The members that a KeySource has make its key source."""
    source = KeySource(**{name: value for name, value in members.items() if name in _OF_KEYS})
    others = {name: value for name, value in members.items() if name not in _OF_KEYS}
    return Policy(key_source=source, **{"kind_claims": GENERIC.kind_claims, "is_machine": GENERIC.is_machine, **others})
