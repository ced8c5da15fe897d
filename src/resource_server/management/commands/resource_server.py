"""`manage.py resource_server`: `keys` prints the trusted keys of each issuer, `explain` why a token is good or refused.

`revoke` puts tokens on the deny list; see `management/revoke.py`.
"""

import sys
import time
from argparse import SUPPRESS, ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.urls import Resolver404

from resource_server.errors import InvalidToken, Unavailable
from resource_server.explain import Explanation, Step, explain
from resource_server.key_events import meanwhile, time_text
from resource_server.management.revoke import add_revoke_topic, revoke_by
from resource_server.management.sent_token import read_sent_token
from resource_server.tokens.access_token import AccessToken
from resource_server.trusted import TrustedIssuer, trusted_issuers
from resource_server.view_demands import judge_view

__all__ = ["Command"]


class Command(BaseCommand):
    help = (
        "Shows the issuers and keys that this project trusts. Fetches keys as a request does; with CACHE these are "
        "the keys that the processes share. Revokes tokens."
    )

    # Whether this process ends with the command; `call_command` runs it in a process that goes on.
    ends_process = False

    def run_from_argv(self, argv: list[str]) -> None:
        self.ends_process = True
        super().run_from_argv(argv)

    def add_arguments(self, parser: ArgumentParser) -> None:
        topics = parser.add_subparsers(dest="topic", required=True)
        keys = topics.add_parser("keys", help="print the trusted keys of each issuer, since when and until when")
        keys.add_argument(
            "issuers",
            nargs="*",
            metavar="ISSUER",
            help="an issuer that the function of ISSUERS knows, in addition to the listed ones",
        )

        explained = topics.add_parser(
            "explain",
            help="read an access token from standard input and print each step of its verification",
            description=(
                "Reads an access token from standard input and prints each step of its verification, with what the "
                "settings expect. Exit status 0 for a good token, else 1. The token is not an argument, because "
                "process lists and shell histories show arguments. Prints no token. A second line is the DPoP proof of a "
                "request with --path and --method."
            ),
        )
        explained.add_argument("--path", help="also judge the token by the view at this path of the project")
        explained.add_argument("--method", default="GET", help="the HTTP method for --path; GET without it")
        # Refused by `_explain` without repeating it, as the parser's own error would.
        explained.add_argument("arguments", nargs="*", help=SUPPRESS)

        add_revoke_topic(topics)

    def handle(self, *_: Any, topic: str, **options: Any) -> None:
        if topic == "explain":
            self._explain(options["arguments"], options["path"], options["method"].upper())
        elif topic == "revoke":
            self.stdout.write(revoke_by(options, ends_process=self.ends_process))
        else:
            self._keys(options["issuers"])

    def _explain(self, arguments: list[str], path: str | None, method: str) -> None:
        """Exit status 0 for a good token that the view at the path does not refuse, else 1."""
        if arguments:
            raise CommandError(
                "give the token on standard input, never as an argument: process lists and shell histories show "
                "arguments. If you typed a token just now, revoke it or let it expire."
            )
        if sys.stdin.isatty():
            self.stderr.write("Paste the token, press Enter, then Ctrl-D. Use a pipe for more than 4000 characters.")
        token, sent = read_sent_token(method, path)
        if not token:
            raise CommandError("nothing was read from standard input")
        explanation = explain(token, sent)
        self._print_facts(explanation)
        for step in explanation.steps:
            self._print_step(step)
        refusal = explanation.refusal
        if refusal is not None:
            self.stdout.write(self.style.ERROR(f"Verdict: a request is answered {refusal.status}, {refusal.reason}"))
            sys.exit(1)
        good = "the token is good for a request with its proof" if explanation.lacks_proof else "the token is good"
        if path is not None and explanation.token is not None:
            self._judge_view(path, method, explanation.token, good)
        elif explanation.lacks_proof:
            self.stdout.write(self.style.WARNING(f"Verdict: {good}; a view may still demand scopes"))
        elif any(step.note and step.name == "user" for step in explanation.steps):
            verdict = "Verdict: the token is good; the project may still refuse the person, and a view demand scopes"
            self.stdout.write(self.style.WARNING(verdict))
        else:
            self.stdout.write(self.style.SUCCESS("Verdict: the token is good; a view may still demand scopes"))

    def _judge_view(self, path: str, method: str, token: AccessToken, good: str) -> None:
        try:
            judgements = judge_view(path, method, token)
        except Resolver404 as error:
            raise CommandError(f"no view is at {path!r}: give a path such as /api/orders/7") from error
        self.stdout.write(self.style.MIGRATE_HEADING(f"The view at {method} {path} demands"))
        for judgement in judgements:
            self.stdout.write(f"  {judgement.verdict:<11} {judgement.words}")
        if not judgements:
            self.stdout.write("  nothing that can be read without a request")
        refusal = next((each.refusal for each in judgements if each.refusal is not None), None)
        if refusal is not None:
            text = f"Verdict: a request is answered {refusal.status}, {refusal.reason}: {refusal}"
            self.stdout.write(self.style.ERROR(text))
            sys.exit(1)
        self.stdout.write(self.style.SUCCESS(f"Verdict: {good}, and no demand that was judged refuses it"))

    def _print_facts(self, explanation: Explanation) -> None:
        if not explanation.facts:
            return
        self.stdout.write(self.style.MIGRATE_HEADING("The token claims (unverified), and the settings expect"))
        for fact in explanation.facts:
            self.stdout.write(f"  {fact.name:<11} {fact.found}")
            if fact.expected:
                difference = f", {fact.difference}" if fact.difference else ""
                self.stdout.write(f"  {'':<11} expected {fact.expected}{difference}")

    def _print_step(self, step: Step) -> None:
        outcome = f"{step.outcome:<11}"
        if step.reason is not None:
            outcome = self.style.ERROR(outcome)
        self.stdout.write(f"  {outcome} {step.name} ({step.source})")
        if step.detail:
            self.stdout.write(f"  {'':<11} {step.detail}")
        if step.note:
            self.stdout.write(f"  {'':<11} {step.note}")
        if step.reason is not None:
            self.stdout.write(f"  {'':<11} {step.reason}: {step.reason.message}")
            self.stdout.write(f"  {'':<11} {step.reason.remedy}")

    def _keys(self, issuers: list[str]) -> None:
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
            self.stdout.write(self.style.ERROR(f"  failing     {issuer.error}: {issuer.error.message}"))
            self.stdout.write(f"              {issuer.error.remedy}")
            self._print_attempt(issuer)
        if issuer.current_until is not None and issuer.trusted_until is not None:
            self.stdout.write(f"  current     until {time_text(issuer.current_until)}")
            self.stdout.write(
                f"  trusted     until {time_text(issuer.trusted_until)} while the issuer cannot be reached"
            )
        elif issuer.keys:
            self.stdout.write("  trusted     without end: the keys stand in the settings")
        for key in issuer.keys:
            since = f"since {time_text(key.since)}" if key.since is not None else "from the settings"
            name = "without kid" if key.kid is None else f"kid {key.kid!r}"
            self.stdout.write(f"  key         {name}, {key.kty} for {' '.join(key.algorithms)}, {since}")
            if key.thumbprint is not None:
                self.stdout.write(f"              thumbprint {key.thumbprint}")

    def _print_attempt(self, issuer: TrustedIssuer) -> None:
        """The last attempt, and what goes on meanwhile, as the log says it."""
        if issuer.outcome:
            self.stdout.write(f"  attempt     {issuer.outcome}")
        if issuer.next_attempt is not None:
            serves_until = issuer.trusted_until if issuer.keys else None
            seconds = issuer.next_attempt.timestamp() - time.time()
            self.stdout.write(f"  meanwhile   {meanwhile(serves_until, seconds)}")
