"""`htu` in the form to compare (RFC 3986 section 6.2): which addresses are one, and which are not."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resource_server.tokens.target_uri import comparable

SAME = [
    ("https://api.test/a", "HTTPS://API.test/a"),
    ("https://api.test/a", "https://api.test:443/a"),
    ("https://api.test/a", "https://api.test:/a"),
    ("http://api.test/a", "http://api.test:80/a"),
    ("http://api.test/a", "http://api.test:0080/a"),
    ("https://api.test", "https://api.test/"),
    ("https://api.test/a", "https://api.test/a?query=1#fragment"),
    ("https://api.test/", "https://api.test?query"),
    ("https://api.test/a", "https://api.test/%61"),
    ("https://api.test/~a", "https://api.test/%7Ea"),
    ("https://api.test/%C3%A9", "https://api.test/%c3%a9"),
    ("https://api.test/b", "https://api.test/a/../b"),
    ("https://api.test/b", "https://api.test/a/%2E%2e/b"),
    ("https://api.test/a/", "https://api.test/a/."),
    ("https://api.test/", "https://api.test/a/.."),
    ("https://api.test/", "https://api.test/../.."),
    ("https://[::1]/a", "https://[::1]:443/a"),
]
DIFFERENT = [
    ("https://api.test/a", "https://api.test/A"),
    ("https://api.test/a", "https://api.test/a/"),
    ("https://api.test/a", "https://api.test//a"),
    ("https://api.test/a", "http://api.test/a"),
    ("https://api.test/a", "https://api.test:80/a"),
    ("https://api.test/a", "https://api.test./a"),
    ("https://api.test/a", "https://test/a"),
    ("https://api.test/a%25", "https://api.test/a%2525"),
    ("https://api.test/a%3Fb", "https://api.test/a"),
    ("https://api.test/a%23b", "https://api.test/a"),
]
NEITHER = [
    "",
    "/a",
    "//api.test/a",
    "api.test/a",
    "https:/api.test/a",
    "https:///a",
    "ftp://api.test/a",
    "https://user@api.test/a",
    "https://user:secret@api.test/a",
    "https://api.test@evil.test/a",
    "https://api.test\\@evil.test/a",
    "https://api.test/a b",
    " https://api.test/a",
    "https://api.test/a\n",
    "https://api.test/%",
    "https://api.test/%zz",
    "https://api.test:123456/a",
    "https://api.test:x/a",
    "https://é.test/a",
    "https://api.test/é",
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_spellings_of_one_address_are_equal(one, other):
    assert comparable(one) == comparable(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_two_addresses_differ(one, other):
    assert comparable(one) != comparable(other)


@pytest.mark.parametrize("uri", NEITHER)
def test_anything_else_is_a_value_error(uri):
    with pytest.raises(ValueError, match=r"^not an http or https URI$"):
        comparable(uri)


@given(st.text())
def test_no_text_raises_anything_but_a_value_error(text):
    for uri in (text, f"https://api.test/{text}", f"https://{text}/"):
        try:
            scheme, host, _port, path = comparable(uri)
        except ValueError:
            continue
        assert scheme in ("http", "https")
        assert host == host.lower()
        assert path.startswith(b"/")


segments = st.lists(st.text(min_size=1).filter(lambda text: text not in (".", "..")), min_size=1)


@given(segments)
def test_a_path_equals_itself_in_any_percent_encoding(path):
    usual = "/".join(quote(segment, "", errors="surrogatepass") for segment in path)
    all_encoded = "/".join(
        "".join(f"%{byte:02x}" for byte in segment.encode("utf-8", "surrogatepass")) for segment in path
    )
    assert comparable(f"https://api.test/{usual}") == comparable(f"https://api.test/{all_encoded}")


@given(segments, segments)
def test_two_paths_are_equal_only_if_their_decoded_forms_are(one, other):
    def decoded(path):
        return "/".join(path)

    def uri(path):
        return "https://api.test/" + quote(decoded(path), errors="surrogatepass")

    if not {".", ".."} & set(decoded(one).split("/") + decoded(other).split("/")):
        assert (comparable(uri(one)) == comparable(uri(other))) == (decoded(one) == decoded(other))


@given(segments, st.text(alphabet="abc123=&/?", max_size=20))
def test_query_and_fragment_do_not_count(path, query):
    uri = "https://api.test/" + "/".join(quote(segment, "", errors="surrogatepass") for segment in path)
    assert comparable(uri) == comparable(f"{uri}?{query}") == comparable(f"{uri}#{query}")
