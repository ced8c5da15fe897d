"""`manage.py resource_server keys`: the trusted keys of each issuer, since when and until when."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from resource_server.errors import InvalidToken, Unavailable
from resource_server.trusted import TrustedIssuer, trusted_issuers

__all__ = ["Command"]


class Command(BaseCommand):
    help = (
        "Shows the issuers and keys that this project trusts. Fetches keys as a request does; with CACHE these are "
        "the keys that the processes share."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        topics = parser.add_subparsers(dest="topic", required=True)
        keys = topics.add_parser("keys", help="print the trusted keys of each issuer, since when and until when")
        keys.add_argument(
            "issuers",
            nargs="*",
            metavar="ISSUER",
            help="an issuer that the function of ISSUERS knows, in addition to the listed ones",
        )

    def handle(self, *_: Any, issuers: list[str], **__: Any) -> None:
        """Exit status 0 if every issuer has keys, else 1."""
        try:
            trusted = trusted_issuers(*issuers)
        except Unavailable as error:
            raise CommandError(str(error)) from error
        except InvalidToken as error:
            raise CommandError(f"{error}: {' '.join(issuers)}") from error
        for issuer in trusted:
            self._print(issuer)
        without = [issuer.issuer for issuer in trusted if not issuer.keys]
        if without:
            raise CommandError(f"no key is trusted of {', '.join(without)}")
        if not trusted:
            self.stdout.write("No issuer is listed: name one that the function of ISSUERS knows.")

    def _print(self, issuer: TrustedIssuer) -> None:
        self.stdout.write(self.style.MIGRATE_HEADING(issuer.issuer))
        self.stdout.write(f"  audience    {' '.join(issuer.audience)}")
        if issuer.error is not None:
            self.stdout.write(self.style.ERROR(f"  failing     {issuer.error}"))
        if issuer.current_until is not None and issuer.trusted_until is not None:
            self.stdout.write(f"  current     until {_time(issuer.current_until)}")
            self.stdout.write(f"  trusted     until {_time(issuer.trusted_until)} while the issuer cannot be reached")
        elif issuer.keys:
            self.stdout.write("  trusted     without end: the keys stand in the settings")
        for key in issuer.keys:
            since = f"since {_time(key.since)}" if key.since is not None else "from the settings"
            name = "without kid" if key.kid is None else f"kid {key.kid!r}"
            self.stdout.write(f"  key         {name}, {key.kty} for {' '.join(key.algorithms)}, {since}")
            if key.thumbprint is not None:
                self.stdout.write(f"              thumbprint {key.thumbprint}")


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
