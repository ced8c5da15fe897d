"""The form that a vendor gives its issuers, to warn of an ISSUER that no token of the vendor names."""

import re
from dataclasses import dataclass

__all__ = ["IssuerForm", "IssuerProblem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerProblem:
    """An issuer without its vendor's form: the fault, as the end of a sentence, and what to write instead."""

    fault: str
    correction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerForm:
    """`title` names a vendor's issuer in a sentence, `pattern` matches the whole of one and `example` shows one."""

    title: str
    example: str
    pattern: str

    def problem(self, issuer: str) -> IssuerProblem | None:
        """The fault in the form of an issuer, None if there is none."""
        if self._matches(issuer):
            return None
        with_slash, without_slash = f"{issuer}/", issuer.rstrip("/")
        if self._matches(with_slash):
            fault = f"is {self.title} without the slash at the end that its tokens have"
            return IssuerProblem(fault=fault, correction=with_slash)
        if self._matches(without_slash):
            fault = f"is {self.title} with a slash at the end that its tokens do not have"
            return IssuerProblem(fault=fault, correction=without_slash)
        fault = f"does not have the form of {self.title}"
        return IssuerProblem(fault=fault, correction=f"an issuer such as {self.example}")

    def _matches(self, issuer: str) -> bool:
        return re.fullmatch(self.pattern, issuer) is not None
