"""One token -> every step of its verification with its outcome, for a person who asks why a token is refused (RFC 9068 section 4).

`explain` runs the steps that a request runs, each rule of `RULES` included, and goes on after a refusal. The result
holds no token, and only the claims that the settings have an expectation of.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, Literal, TypeAlias, TypeVar

from resource_server.errors import AuthorizationError, Unavailable
from resource_server.explained_proof import Sent, explained_proof
from resource_server.flow import run
from resource_server.keys.key_set import VerificationKey
from resource_server.reasons import Reason
from resource_server.server import ResourceServer, current
from resource_server.tokens.access_token import AccessToken
from resource_server.tokens.authority import Verdict
from resource_server.tokens.checked_verifier import CheckedVerifier
from resource_server.tokens.credentials import Credentials, parse_token
from resource_server.tokens.facts import MEMBERS_OF_HEADER, Fact, only_policy, token_facts
from resource_server.tokens.introspection import IntrospectionAuthority
from resource_server.tokens.issuers import Issuer
from resource_server.tokens.jws import UnverifiedToken, has_jws_form, parse, verify_signature
from resource_server.tokens.rules import RULES, Rule, claimed_issuer, named
from resource_server.users.active_user import UserFinder, find_user

__all__ = ["Explanation", "Fact", "Sent", "Step", "explain"]

T = TypeVar("T")
Outcome: TypeAlias = Literal["ok", "refused", "unavailable", "not run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the verification: its name, where it is written, and its outcome.

    `reason`, with its message and its remedy, and `status` (HTTP) are None for a step that did not refuse. A step is
    not run if it needs the result of a step that refused, if it would write, or if nothing was given to judge. `note` says
    what a request does here and an explanation does not; empty if they do the same. `detail` says what the step found.
    """

    name: str
    source: str
    outcome: Outcome
    reason: Reason | None = None
    status: int | None = None
    note: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The steps in their order, and the facts. Holds no raw token. `token` is None for a token that is not good."""

    steps: tuple[Step, ...]
    facts: tuple[Fact, ...]
    token: AccessToken | None = field(default=None, repr=False)

    @property
    def lacks_proof(self) -> bool:
        """Whether a bound token is good but for its proof, which was not given."""
        return self.token is not None and any(
            step.name == _PROOF.name and step.outcome == "not run" for step in self.steps
        )

    @property
    def refusal(self) -> Step | None:
        """The step that a request with this token fails at; None if the token is good, also where a step has a note."""
        return next((step for step in self.steps if step.reason is not None), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """A step beside the rules."""

    name: str
    source: str


_FORM: Final = _Stage(name="bearer token", source="RFC 6750 section 2.1")
_SETTINGS: Final = _Stage(name="settings", source="manage.py check")
_PARSE: Final = _Stage(name="signed JWT", source="RFC 7515 section 3.1")
_INTROSPECTION: Final = _Stage(name="introspection", source="RFC 7662 section 2.2")
_ISSUER: Final = _Stage(name="trusted issuer", source="RFC 8725 section 3.8")
_KEY: Final = _Stage(name="key", source="RFC 7515 section 4.1.4")
_SIGNATURE: Final = _Stage(name="signature", source="RFC 7515 section 5.2")
_PROOF: Final = _Stage(name="proof", source="RFC 7800 section 3")
_REVOCATION: Final = _Stage(name="deny list", source="REVOCATION")
_USER: Final = _Stage(name="user", source="USERS")
_ORDER: Final[tuple[_Stage | Rule, ...]] = (
    *(_FORM, _SETTINGS, _PARSE, _ISSUER),
    *RULES,
    *(_KEY, _SIGNATURE, _PROOF, _REVOCATION, _USER),
)
_INTROSPECTED: Final[tuple[_Stage | Rule, ...]] = (
    *(_FORM, _SETTINGS, _INTROSPECTION),
    *(rule for rule in RULES if not rule.is_of_header),
    *(_PROOF, _REVOCATION, _USER),
)


_OPAQUE: Final = (
    "the form and the settings decide the kind of a token: one that is not a JWT can only be read by its issuer, and "
    "INTROSPECTION asks none about it"
)


class _NewUser:
    """Stands for a user that the first request makes."""

    is_active = True


_NEW: Final = _NewUser()
_BARE: Final = Sent()


def explain(token: str, sent: Sent = _BARE) -> Explanation:
    """Run every step of the verification of a token, for a person to read. Fetches keys, also after a rule has refused.

    For a token that its issuer is asked about, the steps are those of the answer. A proof is judged, and not marked as
    used.

    `token` is the token alone, without the word Bearer. Raises only what a function of the project raises. With
    `USERS` = `provision` it makes no user and calls neither CREATE nor UPDATE; a function that finds users is called as
    for a request. Logs no refusal and sends
    no signal of tokens. Does not check scopes, which belong to a view.
    """
    steps, now = _Steps(), time.time()
    credentials = steps.run(_FORM, lambda: parse_token(token))
    server = steps.run(_SETTINGS, current)
    if server is None or server.revocations is None:
        steps.leave_out(_REVOCATION)
    if server is not None and credentials is not None:
        authority = server.verifier.introspection_of(credentials)
        if authority is not None:
            return _explain_answer(steps, server, authority, credentials, sent)
    unverified = steps.run(_PARSE, lambda: parse(credentials.unverified_token)) if credentials is not None else None
    if credentials is not None and server is not None and not has_jws_form(credentials.unverified_token):
        steps.add_note(_PARSE, detail=_OPAQUE)
    if server is None or unverified is None:
        facts = token_facts(unverified, server.verifier.issuers if server is not None else ())
        return Explanation(steps=steps.all(), facts=facts)
    issuer = steps.run(_ISSUER, lambda: run(server.verifier.issuer(claimed_issuer(unverified))))
    issuers = server.verifier.issuers
    policy = issuer.policy if issuer is not None else only_policy(issuers)
    judged = unverified
    if policy is not None:
        judged = named(unverified, policy)
        for rule in RULES:
            steps.run(rule, partial(rule.check, judged, policy, now))
    if issuer is not None:
        _verify_signature(steps, issuer, unverified)
    verified = None
    if credentials is not None and steps.passed(_SIGNATURE):
        verified = _decide(steps, server, credentials, sent)
    return Explanation(steps=steps.all(), facts=token_facts(unverified, issuers, issuer), token=verified)


def _explain_answer(
    steps: "_Steps", server: ResourceServer, authority: IntrospectionAuthority, credentials: Credentials, sent: Sent
) -> Explanation:
    policy, issuer = authority.policy, authority.issuer
    verified = None
    answer = steps.run(_INTROSPECTION, lambda: run(authority.answer(credentials)))
    token = steps.run(_INTROSPECTION, lambda: authority.active_token(answer)) if answer is not None else None
    if token is not None:
        judged, now = named(token, policy), time.time()
        for rule in RULES:
            if not rule.is_of_header:
                steps.run(rule, partial(rule.check, judged, policy, now))
        if steps.passed(_INTROSPECTION):
            verified = _decide(steps, server, credentials, sent)
    kind = "this JWT" if has_jws_form(credentials.unverified_token) else "an opaque token"
    steps.add_note(_INTROSPECTION, detail=f"INTROSPECTION: {policy.issuer} is asked about {kind}")
    facts = token_facts(token, server.verifier.issuers, issuer)
    facts = tuple(fact for fact in facts if fact.name not in MEMBERS_OF_HEADER)
    return Explanation(steps=steps.all(_INTROSPECTED), facts=facts, token=verified)


def _decide(steps: "_Steps", server: ResourceServer, credentials: Credentials, sent: Sent) -> AccessToken | None:
    # The verifier decides last, so that no token is called good that a request is refused for.
    verifier, revocations = server.verifier, server.revocations
    unchecked = verifier.unchecked if isinstance(verifier, CheckedVerifier) else verifier
    verdict = steps.run(_PROOF, lambda: run(unchecked.unproved(credentials)))
    if verdict is None:
        return None
    proof = explained_proof(partial(unchecked.judge_proof, verdict), server.reader, verdict.token, credentials, sent)
    if proof.judge is not None:
        steps.run(_PROOF, proof.judge)
    steps.add_note(_PROOF, proof.note, is_run=proof.is_judged, detail=proof.detail)
    if steps.has_refused(_PROOF):
        return None
    if revocations is not None:
        steps.run(_REVOCATION, lambda: run(revocations.check(verdict.token)))
    user = steps.run(_USER, lambda: _find_user(server, verdict))
    steps.add_note(_USER, _unwritten(user, verdict), is_run=user is not _NEW)
    return verdict.token


class _Steps:
    """The steps that were run."""

    def __init__(self) -> None:
        self._run: dict[str, Step] = {}
        self._left_out: list[_Stage] = []

    def leave_out(self, stage: _Stage) -> None:
        """Leave out a step that the settings do not have."""
        self._left_out.append(stage)

    def run(self, stage: _Stage | Rule, call: Callable[[], T]) -> T | None:
        """The result of a step, None if it refuses."""
        try:
            result = call()
        except AuthorizationError as error:
            outcome: Outcome = "unavailable" if isinstance(error, Unavailable) else "refused"
            self._note(stage, outcome, error.reason, error.status)
            return None
        self._note(stage, "ok")
        return result

    def add_note(self, stage: _Stage, note: str = "", *, is_run: bool = True, detail: str = "") -> None:
        """Say what a request does at this step and an explanation does not, and what was found."""
        done = self._run[stage.name]
        if done.reason is not None:
            note, is_run = "", True
        self._run[stage.name] = replace(done, note=note, detail=detail, outcome=done.outcome if is_run else "not run")

    def has_refused(self, stage: _Stage) -> bool:
        """Whether this step has refused."""
        return self._run[stage.name].reason is not None

    def passed(self, stage: _Stage) -> bool:
        """Whether this step has passed and none has refused."""
        return stage.name in self._run and all(step.outcome == "ok" for step in self._run.values())

    def all(self, order: tuple[_Stage | Rule, ...] = _ORDER) -> tuple[Step, ...]:
        """All steps in their order, those too that were not run."""
        return tuple(
            self._run.get(stage.name) or Step(name=stage.name, source=stage.source, outcome="not run")
            for stage in order
            if stage not in self._left_out
        )

    def _note(
        self, stage: _Stage | Rule, outcome: Outcome, reason: Reason | None = None, status: int | None = None
    ) -> None:
        self._run[stage.name] = Step(
            name=stage.name, source=stage.source, outcome=outcome, reason=reason, status=status
        )


def _verify_signature(steps: _Steps, issuer: Issuer, unverified: UnverifiedToken) -> None:
    header = unverified.unverified_header
    kid, algorithm = header.get("kid"), header.get("alg")
    # The rules have refused such a token, and no key can be found by these members.
    if algorithm not in issuer.policy.algorithms or not (kid is None or isinstance(kid, str)):
        return
    keys: tuple[VerificationKey, ...] | None = steps.run(_KEY, lambda: run(issuer.keys.find(kid, algorithm)))
    if keys is not None:
        steps.run(_SIGNATURE, lambda: verify_signature(unverified, keys))


def _find_user(server: ResourceServer, verdict: Verdict) -> Any:
    policy, token = verdict.policy, verdict.token
    finder = server.finders[policy.users]
    if finder is not None:
        look = partial(_provisioned, finder.look) if policy.users.find == "provision" else finder.look
        finder = UserFinder(find=look, look=look)
    return run(find_user(token, finder))


def _provisioned(look: Callable[[AccessToken], Any], token: AccessToken) -> Any:
    # An explanation must not make the user, as the first request does.
    from resource_server.accounts.models import Account  # a model, so not before the apps are ready

    return look(token) if Account.objects.filter(identity=token.identity).exists() else _NEW


def _unwritten(user: Any, verdict: Verdict) -> str:
    """What a request calls and an explanation does not, because it may write; empty if there is nothing."""
    users = verdict.policy.users
    if user is _NEW:
        return (
            "a request would make this user now; here no user is made, and CREATE, UPDATE and receivers are not called"
        )
    if user is None or verdict.token.is_machine or users.update is None:
        return ""
    return "a request may call UPDATE; here it is not called"
