"""The stamp of an authority on its verdicts: one change ends all remembered verdicts from before it."""

__all__ = ["Stamp"]


class Stamp:
    """A mark that an authority puts on its verdicts. They end when the authority voids it and makes another.

    An authority voids its stamp when the keys or the rules behind its verdicts change.
    """

    __slots__ = ("is_void",)

    def __init__(self) -> None:
        self.is_void = False

    @classmethod
    def void(cls) -> "Stamp":
        """A stamp for a verdict that is good for one request and must not be remembered."""
        stamp = cls()
        stamp.is_void = True
        return stamp
