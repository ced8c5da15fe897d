"""The values of USERS that are in use, each with the finder of its users."""

from resource_server.conf.problems import Problem
from resource_server.tokens.user_source import UserSource
from resource_server.users.active_user import UserFinder

__all__ = ["UserFinders"]


class UserFinders(dict[UserSource, UserFinder | None]):
    """The sources of users that are in use, each with its finder; None for `token`, which needs no database."""

    def __init__(self, user_cache_seconds: int) -> None:
        super().__init__()
        self._user_cache_seconds = user_cache_seconds

    def add(self, source: UserSource) -> list[Problem]:
        """Add the finder for a source. Returns the problems that prevent it."""
        if source in self:
            return []
        if source.find == "token":
            self[source] = None
            return []
        from resource_server.users.database_finders import user_finder  # imported late: the default does without it

        finder, problems = user_finder(source, self._user_cache_seconds)
        if not problems:
            self[source] = finder
        return problems
