#!/usr/bin/env python
"""Prints the access token of a person: walks the sign-in page of the development issuer, as a browser does.

    curl http://127.0.0.1:8000/api/private-scoped \
      -H "Authorization: Bearer $(python person_token.py 'auth0|ada' example:scope)"

The arguments are the subject, which can be any, and the scopes. Environment: ISSUER_PORT (9000).
"""

import base64
import hashlib
import html
import http.client
import json
import re
import secrets
import sys
from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode, urlsplit

from demo import HOST, Failure, port_of, request

CLIENT = "demo-browser"
REDIRECT_URI = "http://127.0.0.1/signed-in"  # nothing is there: the code is read from the redirect


def person_token(port: int, subject: str, scopes: str) -> str:
    """The access token that the issuer on a port gives a browser (RFC 6749 section 4.1, with PKCE)."""
    verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(8)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {"response_type": "code", "client_id": CLIENT, "redirect_uri": REDIRECT_URI, "state": state}
    asked |= {"code_challenge": challenge, "code_challenge_method": "S256"}
    path = "/authorize?" + urlencode(asked | ({"scope": scopes} if scopes else {}))

    page = request(port, path)
    field = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.body)
    if page.status != 200 or field is None:
        raise Failure(f"the issuer shows no sign-in page: {page.status} {_words(page.headers, page.body)}")
    cookie = page.headers.get("Set-Cookie", "").partition(";")[0]
    form = {"csrfmiddlewaretoken": field[1], "subject": subject, "agreed": scopes.split(), "decision": "allow"}
    signed_in = request(port, path, headers={"Cookie": cookie}, form=form)

    answer = parse_qs(urlsplit(signed_in.headers.get("Location", "")).query)
    if answer.get("state") != [state] or "code" not in answer:
        raise Failure(f"the issuer gives no code: {signed_in.status} {_words(signed_in.headers, signed_in.body)}")
    grant = {"grant_type": "authorization_code", "client_id": CLIENT, "redirect_uri": REDIRECT_URI}
    body = request(port, "/token", form={**grant, "code": answer["code"][0], "code_verifier": verifier}).json()
    if not isinstance(body, dict) or not isinstance(body.get("access_token"), str):
        raise Failure(f"the issuer gives no token: {json.dumps(body)}")
    return body["access_token"]


def _words(headers: Mapping[str, str], body: str) -> str:
    """What an answer says to a reader, in one line."""
    main = re.sub(r"(?s).*<main[^>]*>|</main>.*|<[^>]+>", " ", body)
    return " ".join(f"{headers.get('Location', '')} {html.unescape(main)}".split())[:300]


def main() -> int:
    if not sys.argv[1:]:
        print("usage: python person_token.py SUBJECT [SCOPE ...]", file=sys.stderr)
        return 2
    subject, *scopes = sys.argv[1:]
    try:
        port = port_of("ISSUER_PORT", 9000)
        token = person_token(port, subject, " ".join(scopes))
    except Failure as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (OSError, http.client.HTTPException) as error:
        print(f"error: no issuer at http://{HOST}:{port} ({error}); ISSUER_PORT names its port", file=sys.stderr)
        return 1
    print(token)
    return 0


if __name__ == "__main__":
    sys.exit(main())
