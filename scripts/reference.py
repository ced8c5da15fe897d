"""Writes the pages of docs/ that are made from tables of the package: checks.md and reasons.md.

Run `.venv/bin/python scripts/reference.py` after a change to one of these tables; a test compares the pages with them.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from resource_server.conf.problems import PROBLEMS, ProblemText
from resource_server.reasons import (
    CredentialsReason,
    LogoutReason,
    NonceReason,
    ProofReason,
    Reason,
    RequestReason,
    ScopeReason,
    StepUpReason,
    TokenReason,
    UnavailableReason,
)

DOCS = Path(__file__).parents[1] / "docs"

REASONS = (
    ("400 invalid_request", "", (RequestReason,)),
    (
        "400 of a logout",
        (
            "`backchannel_logout` answers 400 for these reasons, and for those of 401 and 503 that a logout token can have. The "
            "log has them at WARNING, and at ERROR if the issuer is not at fault."
        ),
        (LogoutReason,),
    ),
    ("401", "", (CredentialsReason, TokenReason)),
    ("401 invalid_dpop_proof", "", (ProofReason,)),
    ("401 use_dpop_nonce", "", (NonceReason,)),
    ("401 insufficient_user_authentication", "", (StepUpReason,)),
    ("403 insufficient_scope", "", (ScopeReason,)),
    (
        "503 temporarily_unavailable",
        (
            "The token is not at fault. The log names the address and how the attempt ended, or the error; so does "
            "`manage.py resource_server keys`."
        ),
        (UnavailableReason,),
    ),
)


def pages() -> dict[str, str]:
    """The text of each page, by its name."""
    return {"checks.md": checks(), "reasons.md": reasons()}


def reasons() -> str:
    """docs/reasons.md, by the status of the answer."""
    paragraphs = [
        "# Every reason, and what to do",
        (
            "A refusal has one reason: in the body (`reason`), in the challenge in words (`error_description`), in the log and in "
            "the signal `token_rejected`."
        ),
    ]
    for title, introduction, classes in REASONS:
        members: list[Reason] = [reason for each in classes for reason in each]
        rows = [(f"`{reason}`", reason.message.rstrip(": "), reason.remedy) for reason in members]
        paragraphs += [f"## {title}", introduction, table(("reason", "message", "what to do"), rows)]
    return page(paragraphs)


def checks() -> str:
    """docs/checks.md: errors first, then warnings, each in the order of its number."""
    errors = [row(id_, texts) for id_, texts in PROBLEMS.items() if id_.startswith("E")]
    warnings = [row(id_, texts) for id_, texts in PROBLEMS.items() if not id_.startswith("E")]
    columns = ("id", "setting", "meaning", "hint")
    return page([
        "# Every system check",
        ("`manage.py check` reports them as `resource_server.E001` and so on. "
        "They fetch nothing. *Words like this* stand for a value of your settings. With an error, every request that needs "
        "a token is answered with 503 (`settings_invalid`)."),
        "## Errors",
        table(columns, errors),
        "## Warnings",
        table(columns, warnings),
    ])  # fmt: skip


def row(id_: str, texts: ProblemText) -> tuple[str, ...]:
    key = f"`{texts.key}`" if not texts.key.startswith("$") else words(texts.key)
    meaning = texts.meaning or texts.message.removeprefix("$place: ").rstrip(".")
    return f"`{id_}`", key, words(meaning), words(texts.hint)


def words(text: str) -> str:
    """A text with its placeholders in italics."""
    return re.sub(r"\$(\w+)", r"*\1*", text)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page(paragraphs: Iterable[str]) -> str:
    return "\n\n".join(filter(None, paragraphs)) + "\n"


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
