"""The keys that the development issuer and the tests sign with."""

import base64
import json
import threading

import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from resource_server.devissuer.signing import ALGORITHMS, SigningKeys


def _parts(token: str) -> list[bytes]:
    return [base64.urlsafe_b64decode(part + "==") for part in token.split(".")]


def _signed_by(keys: SigningKeys, token: str, kid: str) -> bool:
    [key] = [key for key in keys.jwks()["keys"] if key["kid"] == kid]
    imported = KeySet.import_key_set({"keys": [key]}).keys[0]
    signing_input, _, signature = token.rpartition(".")
    decoded = base64.urlsafe_b64decode(signature + "==")
    return jws.JWSRegistry.algorithms[key["alg"]].verify(signing_input.encode(), decoded, imported)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_signs_what_its_public_key_verifies(algorithm):
    keys = SigningKeys(algorithm)
    token = keys.sign({"sub": "x"})

    assert keys.algorithm == algorithm
    assert json.loads(_parts(token)[0]) == {"alg": algorithm, "kid": keys.current_kid, "typ": "at+jwt"}
    assert _parts(token)[1] == b'{"sub":"x"}'
    assert _signed_by(keys, token, keys.current_kid)
    assert not _signed_by(keys, token.replace(".", ".e", 1), keys.current_kid)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS1", "rs256", "ES256K", ""])
def test_an_unknown_algorithm_is_refused_at_once(algorithm):
    with pytest.raises(ValueError, match="unknown algorithm"):
        SigningKeys(algorithm)


def test_rsa_keys_have_2048_bits():
    [key] = SigningKeys().jwks()["keys"]

    assert len(base64.urlsafe_b64decode(key["n"] + "==")) == 256


def test_rotation_signs_with_a_new_key_and_keeps_the_old_one_published():
    keys = SigningKeys()
    old = keys.current_kid
    before = keys.sign({})
    new = keys.rotate("ES256")

    assert new == keys.current_kid != old
    assert [(key["kid"], key["alg"]) for key in keys.jwks()["keys"]] == [(old, "RS256"), (new, "ES256")]
    assert _signed_by(keys, before, old)
    assert _signed_by(keys, keys.sign({}), new)
    assert _signed_by(keys, keys.sign({}, kid=old), old)


def test_rotation_keeps_the_algorithm():
    keys = SigningKeys("PS256")
    keys.rotate()

    assert [key["alg"] for key in keys.jwks()["keys"]] == ["PS256", "PS256"]


def test_a_withdrawn_key_is_not_published_but_still_signs():
    keys = SigningKeys("ES256")
    leaked = keys.current_kid
    keys.rotate()
    keys.withdraw(leaked)

    assert leaked not in json.dumps(keys.jwks())
    assert json.loads(_parts(keys.sign({}, kid=leaked))[0])["kid"] == leaked
    with pytest.raises(KeyError):
        keys.withdraw(leaked)
    with pytest.raises(KeyError):
        keys.withdraw("never was")


def test_withdrawn_keys_are_forgotten_in_the_end_but_never_the_one_that_signs():
    keys = SigningKeys("ES256")
    first = keys.current_kid
    for _ in range(40):
        old = keys.current_kid
        keys.rotate()
        keys.withdraw(old)

    assert len(keys.jwks()["keys"]) == 1
    assert keys.sign({}, kid=old)
    with pytest.raises(KeyError):
        keys.sign({}, kid=first)


def test_header_members_are_replaced_added_and_removed():
    keys = SigningKeys("ES256")
    token = keys.sign({}, header={"alg": "none", "typ": None, "crit": ["b64"], "b64": False})

    assert json.loads(_parts(token)[0]) == {"alg": "none", "kid": keys.current_kid, "crit": ["b64"], "b64": False}
    assert _signed_by(keys, token, keys.current_kid)


@pytest.mark.parametrize("payload", [b"", b"\xff\x00", b'{"a":1,"a":2}', b"[1e309]"])
def test_any_bytes_can_be_signed(payload):
    keys = SigningKeys("EdDSA")
    token = keys.sign(payload)
    exact = keys.sign_parts(b'{"alg":"EdDSA","alg":"none"}', payload)

    assert _parts(token)[1] == _parts(exact)[1] == payload
    assert _parts(exact)[0] == b'{"alg":"EdDSA","alg":"none"}'
    assert _signed_by(keys, exact, keys.current_kid)


def test_threads_that_come_first_at_once_share_one_key():
    keys = SigningKeys()
    seen: list[str] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait()
        seen.append(keys.current_kid)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(seen)) == len(keys.jwks()["keys"]) == 1
