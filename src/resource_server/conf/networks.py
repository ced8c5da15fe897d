"""The settings of the network, CA_FILE and DEVELOPMENT_HTTP, and whether this process may use http for development."""

import os
import sys
from typing import Final

from django.conf import settings

from resource_server.conf.reading import Reading, strings

__all__ = ["ca_file", "http_hosts", "is_development"]

# Without colon and slash: neither a scheme nor a port.
_HOST_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_")


def is_development() -> bool:
    """Whether http is admitted for development: DEBUG is on, or tests run."""
    return bool(settings.DEBUG) or _tests_run()


def _tests_run() -> bool:
    # Django turns DEBUG off in tests. `setup_test_environment` leaves this mark, in `manage.py test` and in pytest-django;
    # nothing of Django's tests is imported for it.
    state = getattr(sys.modules.get("django.test.utils"), "_TestState", None)
    return hasattr(state, "saved_data")


def http_hosts(reading: Reading) -> frozenset[str]:
    """The hosts that may be asked over http, in lower case. Reports E032, also outside development."""
    value = reading.settings.get("DEVELOPMENT_HTTP")
    names = strings([] if value is None else value)
    fault = ""
    if names is None or not all(_HOST_CHARACTERS.issuperset(name.lower()) for name in names):
        names, fault = (), "is not a list of host names"
    elif names and not reading.debug:
        fault = "is set while DEBUG is off and no tests run"
    if fault:
        reading.report("E032", fault=fault)
    return frozenset(name.lower() for name in names)


def ca_file(reading: Reading) -> str | None:
    """The path of a file with certificates in PEM; None if there is none. Reads the file. Reports E033."""
    value = reading.settings.get("CA_FILE")
    if value is None:
        return None
    import ssl  # imported late: start-up does not pay for it

    reason = "It is not a path"
    if isinstance(value, str | os.PathLike):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(value)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
        else:
            return os.fsdecode(value)
    reading.report("E033", reason=reason)
    return None
