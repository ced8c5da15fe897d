"""What a remembered verdict rests on, so that one change ends all verdicts that were reached before it."""

__all__ = ["Stamp"]


class Stamp:
    """A mark that an authority puts on its verdicts. They end when the authority voids it; then it makes another.

    An authority voids its stamp when the keys or the rules change that its verdicts were reached with.
    """

    __slots__ = ("is_void",)

    def __init__(self) -> None:
        self.is_void = False
