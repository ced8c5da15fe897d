"""Every kind of view x where the guard stands x a neighbour above or below x callers x methods.

The expected answer is worked out layer by layer, from the outside in, as Python runs them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import pytest
from django.core.cache import cache
from tests.stackings import neighbours, views
from tests.stackings.conftest import CALLERS, Call, Outcome, Sender
from tests.stackings.neighbours import BLOCKED_ADDRESS, NEIGHBOURS, Neighbour
from tests.stackings.views import KINDS, Kind, Layer, Place

from resource_server import requires_scope

pytestmark = pytest.mark.django_db

GUARD = requires_scope("read")

ANONYMOUS = 'Bearer realm="api", scope="read"'
INVALID = 'error="invalid_token"'
LACKING = 'error="insufficient_scope"'


@dataclass(frozen=True)
class Stacking:
    kind: Kind
    guard: Place
    neighbour: Neighbour | None = None
    place: Place | None = None
    guard_above: bool = True  # as it is written, where both stand at one spot

    def __str__(self) -> str:
        if self.neighbour is None:
            return f"{self.kind.name}: guard {self.guard.name}"
        order = ", guard above" if self.guard_above else ", guard below"
        return f"{self.kind.name}: guard {self.guard.name}, {self.neighbour.name} {self.place.name}{order}"

    def layers(self) -> list[Layer]:
        guard = Layer(self.guard, GUARD)
        if self.neighbour is None:
            return [guard]
        neighbour = Layer(self.place, self.neighbour.decorator(self.kind.is_async))
        return [guard, neighbour] if self.guard_above else [neighbour, guard]

    @property
    def neighbour_depth(self) -> float | None:
        if self.place is None:
            return None
        return self.place.depth + (0.5 if self.guard_above else -0.5) * (self.place.depth == self.guard.depth)

    @property
    def has_gate(self) -> bool:
        return self.neighbour is not None and self.neighbour.is_gate

    @property
    def caches(self) -> bool:
        return self.neighbour is not None and self.neighbour.caches

    @property
    def guard_sees_dict(self) -> bool:
        """Inside an operation of django-ninja, whose answer has no headers yet."""
        return self.kind.is_ninja and self.guard is views.INSIDE

    @property
    def is_outside_rest(self) -> bool:
        return self.guard.depth < 2

    @property
    def knows_of_rest(self) -> bool:
        """Whether a guard outside sees what it guards: by the mark `cls`, which a nameless gate loses, or by the method's object."""
        is_hidden = self.neighbour is not None and not self.neighbour.keeps_names and self.guard.depth == 0
        return not (is_hidden and self.place.depth == 0 and self.guard_above)


def stackings() -> Iterator[Stacking]:
    for kind in KINDS:
        for guard in kind.guards:
            yield Stacking(kind, guard)
            for neighbour, place in product(NEIGHBOURS, kind.neighbours):
                if can_stand(kind, neighbour, place):
                    at_one_spot = views.spot(guard) == views.spot(place)
                    for guard_above in (True, False) if at_one_spot else (guard.depth < place.depth,):
                        yield Stacking(kind, guard, neighbour, place, guard_above)


def can_stand(kind: Kind, neighbour: Neighbour, place: Place) -> bool:
    """Whether Django lets the neighbour stand there, with or without a guard."""
    if kind.is_async and not neighbour.takes_coroutines:
        return False
    if kind.meets_few and not (neighbour.is_gate or neighbour.caches or neighbour.is_of_users):
        return False
    # Django's decorators take `dispatch` of an async class for a sync view.
    if kind.is_async and place is views.DISPATCH:
        return neighbour.is_gate
    if kind.is_ninja:
        # The signature is read, and a dict is returned, inside the operation.
        return neighbour.keeps_names and (place is views.OUTSIDE or neighbour.name == "gate")
    return not (neighbour.only_outside_rest and kind.is_rest and place.depth > 2)


@dataclass(frozen=True)
class Answer:
    """What a request is to meet: the status, the challenge if the guard refuses, and the depth of the layer that decides."""

    status: int
    depth: float
    challenge: str | None = None
    runs_body: bool = False


def expected(stacking: Stacking, call: Call) -> Answer:
    person = call.caller.session or "other"
    for depth, decide in sorted(steps(stacking), key=lambda step: step[0]):
        status, challenge, person = decide(stacking, call, person)
        if status is not None:
            return Answer(status, depth, challenge)
    return Answer(200, 9, runs_body=True)


# A step answers with a status and the challenge, or with None; and says which user the next step sees.
Decision = tuple[int | None, str | None, str]
Step = Callable[[Stacking, Call, str], Decision]


def steps(stacking: Stacking) -> Iterator[tuple[float, Step]]:
    yield stacking.guard.depth, guard_decides
    yield stacking.kind.chooses_method_at, method_is_chosen
    if stacking.kind.is_rest:
        yield 2, rest_authenticates
    if stacking.neighbour is not None:
        yield stacking.neighbour_depth, neighbour_decides


def guard_decides(stacking: Stacking, call: Call, person: str) -> Decision:
    caller, is_rest = call.caller, stacking.kind.is_rest
    if caller.token is None:
        # Where a session took part, REST framework's answer is 403, as for any credential that lacks the right.
        knows_of_session = is_rest and (stacking.knows_of_rest or not stacking.is_outside_rest)
        return (403, LACKING, person) if caller.session and knows_of_session else (401, ANONYMOUS, person)
    if caller.token == "forged":
        return 401, INVALID, person
    if "read" not in caller.scopes:
        return 403, LACKING, person
    return None, None, person if is_rest and not stacking.is_outside_rest else caller.token


def rest_authenticates(stacking: Stacking, call: Call, person: str) -> Decision:
    token = call.caller.token
    if token == "forged":
        return 401, INVALID, person
    # In adrf `request.auser()`, which Django's decorators of async views call, is of the request outside.
    return None, None, person if token is None or stacking.kind.is_async else token


def method_is_chosen(stacking: Stacking, call: Call, person: str) -> Decision:
    kind = stacking.kind
    if call.method in kind.methods:
        return None, None, person
    return kind.options if call.method == "OPTIONS" else kind.others, None, person


def neighbour_decides(stacking: Stacking, call: Call, person: str) -> Decision:
    return stacking.neighbour.refuses(call, person), None, person


CALLS = [
    *product(CALLERS, ["GET"]),
    *product(["unscoped", "ada", "session"], ["POST"]),
    *product(["unscoped", "ada"], ["HEAD", "OPTIONS", "PUT"]),
]
# A request to an async view takes up to ten times as long, most of it for threads.
ASYNC_CALLS = [
    *product(["anonymous", "forged", "unscoped", "ada", "bob", "staff", "session", "session and ada"], ["GET"]),
    *product(["unscoped", "ada"], ["POST"]),
    *product(["unscoped"], ["HEAD", "OPTIONS", "PUT"]),
]
BLOCKED = ["anonymous", "forged", "unscoped", "ada", "session"]


def calls(stacking: Stacking) -> Iterator[Call]:
    for caller, method in ASYNC_CALLS if stacking.kind.is_async else CALLS:
        # Django's cache answers HEAD with what it keeps of GET.
        if method != "HEAD" or "HEAD" in stacking.kind.methods or not stacking.caches:
            yield Call(CALLERS[caller], method)
    if stacking.has_gate:
        yield from (Call(CALLERS[caller], address=BLOCKED_ADDRESS) for caller in BLOCKED)


@pytest.mark.parametrize("stacking", list(stackings()), ids=str)
def test_who_gets_in(stacking: Stacking, send: Sender) -> None:
    cache.clear()
    neighbours.exempt.clear()
    routes = views.build(stacking.kind, stacking.layers())
    for outcome in send(routes, calls(stacking), is_async=stacking.kind.is_async):
        check(stacking, outcome)


@pytest.mark.parametrize("stacking", [each for each in stackings() if each.neighbour is None], ids=str)
def test_who_gets_in_by_the_other_interface(stacking: Stacking, send: Sender) -> None:
    """An async view under WSGI, a sync view under ASGI."""
    routes = views.build(stacking.kind, stacking.layers())
    some = [Call(CALLERS[name]) for name in ("anonymous", "forged", "unscoped", "ada", "session", "session and ada")]
    for outcome in send(routes, some, is_async=not stacking.kind.is_async):
        check(stacking, outcome)


@pytest.mark.parametrize(
    "stacking", [each for each in stackings() if each.kind.is_rest and each.neighbour is None], ids=str
)
def test_a_throttle_has_its_turn(stacking: Stacking, send: Sender) -> None:
    """It comes after REST framework has authenticated, and before what stands inside."""
    busy = [Call(CALLERS[name], is_busy=True) for name in ("anonymous", "forged", "unscoped", "ada")]
    routes = views.build(stacking.kind, stacking.layers())
    for outcome in send(routes, busy, is_async=stacking.kind.is_async):
        answer = expected(stacking, outcome.call)
        is_throttled = answer.depth > 2
        assert outcome.response.status_code == (429 if is_throttled else answer.status), outcome.call
        assert outcome.ran == ()


def check(stacking: Stacking, outcome: Outcome) -> None:
    call, response = outcome.call, outcome.response
    answer = expected(stacking, call)

    assert response.status_code == answer.status, call
    is_cached = stacking.caches and call.method in {"GET", "HEAD"}
    assert bool(outcome.ran) == answer.runs_body or (answer.runs_body and is_cached), call
    check_challenge(response.headers.get("WWW-Authenticate"), answer.challenge, call)
    if answer.runs_body:
        check_identity(outcome)
        assert stacking.neighbour is None or stacking.neighbour.left_a_trace(outcome), call
    if stacking.has_gate:
        # A gate is asked if, and only if, its turn comes before the refusal.
        assert len(outcome.asked) == (stacking.neighbour_depth <= answer.depth), call
    if answer.depth >= stacking.guard.depth and not (stacking.guard_sees_dict and answer.runs_body):
        assert "Authorization" in response.headers.get("Vary", ""), call


def check_challenge(challenge: str | None, expected: str | None, call: Call) -> None:
    if expected is None or challenge is None:
        assert challenge == expected, call
    elif expected == ANONYMOUS:
        assert challenge == ANONYMOUS, call
    else:
        assert expected in challenge, call
        assert ('scope="read"' in challenge) == (expected == LACKING), call


def check_identity(outcome: Outcome) -> None:
    """The answer is of this caller, from the body or from a cache."""
    subject = outcome.call.caller.subject
    assert set(outcome.ran) <= {subject}, outcome.call
    if outcome.response.content:
        assert outcome.response.json() == {"subject": subject}, outcome.call
