"""A document of any depth costs an error and no more, on threads whose stack is as small as musl's or smaller.

Each case runs in a process of its own, as the fault would end it.
"""

import subprocess
import sys
import textwrap

import pytest

SETUP = r"""
import base64, json, sys, threading
from resource_server.errors import InvalidToken, Unavailable
from resource_server.conf.issuer import parse_policy
from resource_server.tokens.access_token import access_token
from resource_server.keys.metadata import parse_metadata
from resource_server.keys.shared_documents import SharedDocuments
from resource_server.keys.document import Document
from resource_server.tokens.jws import parse
from resource_server.keys.key_source import KeySource
from resource_server.tokens.policy import Policy
from resource_server.strict_json import MAX_DEPTH, parse_object

def b64(document):
    return base64.urlsafe_b64encode(document).rstrip(b"=").decode()

def raised(call, *arguments, **named):
    try:
        return call(*arguments, **named)
    except (ValueError, InvalidToken, Unavailable) as error:
        return type(error).__name__, getattr(error, "reason", str(error))

def on_a_small_stack(kibibytes, call):
    failures = []
    def work():
        try:
            call()
        except BaseException as error:
            failures.append(error)
    threading.stack_size(kibibytes * 1024)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]

N = 12_000
DEEP = {
    "lists": b"[" * N,
    "closed lists": b"[" * N + b"]" * N,
    "objects": b'{"a":' * N,
    "closed objects": b'{"a":' * N + b"1" + b"}" * N,
    "mixed": b'[{"a":' * (N // 2),
    "within an object": b'{"iss":"https://issuer.test/","x":' + b"[" * N + b"]" * N + b"}",
    "after much that is flat": b'{"x":[' + b"[]," * 40 + b"[" * N,
    "after a text": b'{"x":"\\\\","y":' + b"[" * N,
    "after a text with a quote": b'{"x":"\\"]]]]","y":' + b"[" * N,
    "after closers in a text": b'{"x":"' + b"]" * N + b'","y":' + b"[" * N,
    "after white space": b" \n" * 100 + b"[" * N,
    "after letters of the world": '{"\u00e9\U0001f511":'.encode() + b"[" * N,
    "one level too many": b"[" * 33 + b"]" * 33,
}
"""
CASES = {
    "parse_object": r"""
for name, document in DEEP.items():
    assert raised(parse_object, document) == ("ValueError", "nested too deeply"), name
""",
    "a token's header and payload": r"""
for name, document in DEEP.items():
    for token, reason in ((f"{b64(document)}.e30.AA", "header"), (f"e30.{b64(document)}.AA", "payload")):
        assert raised(parse, token) == ("InvalidToken", f"{reason}_malformed"), name
""",
    "an issuer's documents": r"""
policy = Policy(key_source=KeySource(issuer="https://issuer.test/"), audience=("a",))
for name, document in DEEP.items():
    assert raised(parse_metadata, Document(body=document), policy) == ("Unavailable", "document_malformed"), name
""",
    "a document that is shared": r"""
class Store(dict):
    def set(self, key, value, /, timeout): self[key] = value
    def add(self, key, value, /, timeout): return True
    def delete(self, key, /): pass
for name, document in DEEP.items():
    store = Store()
    fetch = lambda url, **_: Document(body=document)
    shared = SharedDocuments(fetch, store, secret=b"s")
    assert shared("https://issuer.test/jwks", seconds=5).body == document
    assert store == {}, name
""",
    "a secret and a file in the settings": r"""
import pathlib, tempfile
settings = {"ISSUER": "https://issuer.test/", "AUDIENCE": "a"}
with tempfile.TemporaryDirectory() as folder:
    for name, document in DEEP.items():
        path = pathlib.Path(folder, "keys")
        path.write_bytes(document)
        parse_policy({**settings, "SECRET": document}, debug=False)
        assert parse_policy({**settings, "KEY_FILE": path}, debug=False)[1], name
""",
    "brackets in texts": r"""
for text in ("[" * N, '{"' * N, "\\\\" * N, '"' * N, "]" * N):
    for document in (json.dumps({"x": text, "y": [[1]]}), json.dumps({text: [text] * 40}), json.dumps({"x": [{"a": text}] * 40})):
        assert parse_object(document.encode()) == json.loads(document)
for document in (b'"' + b"[" * N, b'{"x":"' + b"[" * N, b'{"x":"\\\\' + b"[" * N, b'\\\\"' * N + b"[" * 40, b'"' * 20_001 + b"[" * N):
    assert raised(parse_object, document)[0] == "ValueError"
""",
    "what is as deep as may be": r"""
import copy, pickle
for opener, closer in (("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")):
    levels = (MAX_DEPTH - 1) // (2 if len(closer) == 2 else 1)
    inner = opener * levels + "1" + closer * levels
    claims = parse_object(('{"iss":"i","sub":"s","aud":"a","exp":1,"x":' + inner + ',"y":"\\ud83d\\udd11"}').encode())
    token = access_token(claims)
    assert json.loads(json.dumps(dict(token.claims))) == token.plain_claims()
    assert copy.deepcopy(token).claims == pickle.loads(pickle.dumps(token)).claims == token.claims
    repr(token.claims)
""",
}


@pytest.mark.parametrize("kibibytes", [256, 1024])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_depth_costs_an_error_and_no_more(case: str, kibibytes: int) -> None:
    body = textwrap.indent(case.strip(), "    ")
    program = f"{SETUP}\ndef case():\n{body}\n\non_a_small_stack({kibibytes}, case)\nprint('done')\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
