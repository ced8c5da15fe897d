"""The fixtures of the tests of tokens, which verify with keys too."""

from tests.tokens.conftest import Api, fork, new_api

__all__ = ["Api", "fork", "new_api"]
