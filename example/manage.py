#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:  # one line says what is missing; a traceback would bury it
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
