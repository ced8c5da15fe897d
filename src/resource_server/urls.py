"""The addresses for the root of a project: `path("", include("resource_server.urls"))`."""

import re
from typing import Final

from django.urls import re_path

from resource_server.protected_resource import WELL_KNOWN
from resource_server.views import metadata

__all__ = ["app_name", "urlpatterns"]

app_name: Final = "resource_server"
# `path` begins with its slash, so that it is the path of the identifier (RFC 9728 section 3.1).
urlpatterns: Final = [re_path(rf"^{re.escape(WELL_KNOWN[1:])}(?P<path>/.*)?\Z", metadata, name="metadata")]
