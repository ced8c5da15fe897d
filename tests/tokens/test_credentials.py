"""One header holds one bearer token, or none, or an error; no bytes in it make anything else."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resource_server.errors import InvalidRequest, InvalidToken
from resource_server.tokens.credentials import MAX_TOKEN_CHARACTERS, Credentials, parse_authorization

LARGEST = "x" * MAX_TOKEN_CHARACTERS

TOKENS = {
    "one token": ("Bearer abc.def.ghi", "abc.def.ghi"),
    "a lower case scheme": ("bearer abc", "abc"),
    "an upper case scheme": ("BEARER abc", "abc"),
    "a mixed case scheme": ("bEaReR abc", "abc"),
    "several spaces": ("Bearer    abc", "abc"),
    "spaces around": (" \tBearer abc\t ", "abc"),
    "the whole alphabet": ("Bearer aZ09-._~+/==", "aZ09-._~+/=="),
    "the largest": (f"Bearer {LARGEST}", LARGEST),
}


@pytest.mark.parametrize(("header", "token"), TOKENS.values(), ids=TOKENS)
def test_a_bearer_token_is_found(header: str, token: str) -> None:
    assert parse_authorization(header) == Credentials(unverified_token=token)


@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP "])
def test_a_token_under_dpop_is_found(scheme: str) -> None:
    assert parse_authorization(f"{scheme} abc.def") == Credentials(unverified_token="abc.def", is_dpop=True)


NONE = {
    "absent": None,
    "empty": "",
    "a space": " ",
    "tabs": "\t\t",
    "Basic": "Basic YWRhOnNlY3JldA==",
    "Basic with what looks like Bearer": "Basic Bearer abc",
    "JWT": "JWT abc.def.ghi",
    "Token": "Token abc",
    "a longer word": "Bearers abc",
    "a longer word, with a dash": "Bearer-Token abc",
    "a shorter word": "Beare abc",
    "the token alone": "abc.def.ghi",
    "a comma first": ", Bearer abc",
    "a quote first": '"Bearer abc"',
    "a vertical tab first": "\x0bBearer abc",
    "a no-break space first": "\xa0Bearer abc",
    "a zero width space first": "\u200bBearer abc",
    "NUL first": "\x00Bearer abc",
    "full width": "\uff22earer abc",
    "two schemes, another first": "Basic abc, Bearer abc",
}


@pytest.mark.parametrize("header", NONE.values(), ids=NONE)
def test_another_scheme_is_none_of_ours(header: str | None) -> None:
    assert parse_authorization(header) is None


MALFORMED = {
    "the scheme alone": ("Bearer", "credentials_malformed"),
    "the scheme and a space": ("Bearer ", "credentials_malformed"),
    "a tab between": ("Bearer\tabc", "credentials_malformed"),
    "a tab after the space": ("Bearer \tabc", "credentials_malformed"),
    "a line break between": ("Bearer\nabc", "credentials_malformed"),
    "a line break at the end": ("Bearer abc\n", "credentials_malformed"),
    "two tokens": ("Bearer a b", "credentials_malformed"),
    "an equals sign": ("Bearer=abc", "credentials_malformed"),
    "a colon": ("Bearer: abc", "credentials_malformed"),
    "quotes": ('Bearer "abc"', "credentials_malformed"),
    "padding alone": ("Bearer ==", "credentials_malformed"),
    "padding within": ("Bearer a=b", "credentials_malformed"),
    "NUL": ("Bearer abc\x00", "credentials_malformed"),
    "a letter that is not ASCII": ("Bearer ab\u0441", "credentials_malformed"),
    "a digit that is not ASCII": ("Bearer ab\u0661", "credentials_malformed"),
    "a no-break space": ("Bearer\xa0abc", "credentials_malformed"),
    "a parameter": ('Bearer token="abc"', "credentials_malformed"),
    "the scheme twice": ("Bearer Bearer abc", "credentials_malformed"),
    "DPoP alone": ("DPoP", "credentials_malformed"),
    "two tokens under DPoP": ("DPoP a b", "credentials_malformed"),
    "a character too many": (f"Bearer {LARGEST}x", "token_too_large"),
    "a megabyte": ("Bearer " + "x" * 2**20, "token_too_large"),
    "a megabyte of spaces": ("Bearer" + " " * 2**20 + "x", "token_too_large"),
    "a megabyte of commas": ("Bearer " + "," * 2**20, "token_too_large"),
}


@pytest.mark.parametrize(("header", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_credentials_are_refused(header: str, reason: str) -> None:
    with pytest.raises(InvalidToken) as caught:
        parse_authorization(header)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "header",
    [
        "Bearer abc, Bearer def",
        "Bearer abc,Basic def",
        "Bearer abc,",
        "Bearer ,",
        "Bearer abc,abc",
        "Bearer,abc",
        "DPoP a,Bearer a",
        "Bearer a, DPoP a",
    ],
)
def test_repeated_credentials_are_a_bad_request(header: str) -> None:
    # Servers join repeated headers with a comma.
    with pytest.raises(InvalidRequest) as caught:
        parse_authorization(header)
    assert caught.value.reason == "credentials_repeated"


def test_the_token_is_in_no_repr() -> None:
    assert repr(parse_authorization("DPoP abc.def.ghi")) == "Credentials(is_dpop=True)"


def check(header: str) -> None:
    words = header.strip(" \t").split(" ", 1)
    try:
        credentials = parse_authorization(header)
    except (InvalidToken, InvalidRequest):
        # An error is about a token of ours, never about a scheme of somebody else.
        assert header.strip(" \t").lower().startswith(("bearer", "dpop"))
        return
    if credentials is None:
        assert words[0].lower() not in ("bearer", "dpop")
        return
    assert words[0].lower() == ("dpop" if credentials.is_dpop else "bearer")
    token = credentials.unverified_token
    assert words[1].lstrip(" ") == token
    assert token.isascii()
    assert 0 < len(token) <= MAX_TOKEN_CHARACTERS


@given(st.text())
def test_any_text_is_a_token_or_none_or_an_error(header: str) -> None:
    check(header)


@given(st.binary())
@example(bytes(range(256)))
def test_any_bytes_are_a_token_or_none_or_an_error(header: bytes) -> None:
    check(header.decode("latin-1"))


@given(
    st.text(st.sampled_from(" \t"), max_size=2),
    st.sampled_from(["Bearer", "bearer", "BEARER", "Bearer ", "Bearer  ", "Bearer\t", "Basic ", "DPoP ", "Bearer,"]),
    st.binary(max_size=40) | st.from_regex(rb"[A-Za-z0-9._~+/-]{0,30}={0,2}[ \t]?", fullmatch=True),
)
def test_any_bytes_after_a_scheme_are_a_token_or_none_or_an_error(before: str, scheme: str, rest: bytes) -> None:
    check(before + scheme + rest.decode("latin-1"))
