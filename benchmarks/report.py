"""The measured samples -> tables between two marks of docs/performance.md, and a plot beside it. What people wrote around the marks stays."""

import importlib.metadata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.additions import SEEN
from benchmarks.results import Sample
from benchmarks.rounds import Spread, differences, ratios, spread

__all__ = ["BEGIN", "END", "between_marks", "text", "write"]

BEGIN, END = "<!-- measured:begin -->", "<!-- measured:end -->"
VERSIONS = ("Django", "djangorestframework", "cryptography", "joserfc", "gunicorn", "pyperf")


class Measured:
    """The samples by part and name, and their ratios."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = {(sample.part, sample.name): sample for sample in samples}

    def part(self, part: str) -> list[Sample]:
        return [sample for (of, _name), sample in self._samples.items() if of == part]

    def names(self, part: str) -> list[str]:
        return [sample.name for sample in self.part(part)]

    def median(self, part: str, name: str) -> float:
        return median(self._samples[part, name].values)

    def detail(self, part: str, name: str, detail: str) -> Any:
        return self._samples[part, name].details[detail]

    def ratio(self, part: str, name: str, baseline: str | None = None) -> Spread:
        """Beside the case's own baseline, or another case of the part, round by round."""
        sample = self._samples[part, name]
        base = self._samples[part, baseline or sample.details["baseline"]]
        return spread(ratios(sample.values, base.values))

    def difference(self, part: str, name: str, baseline: str) -> Spread:
        """What a case takes longer than another one of the part, round by round, in seconds."""
        return spread(differences(self._samples[part, name].values, self._samples[part, baseline].values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What we promise ourselves. `value` may raise KeyError where the cases were not measured."""

    sentence: str
    value: Callable[[Measured], float]
    limit: float
    unit: str = ""
    at_least: bool = False

    def met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


def _ratio(part: str, name: str, baseline: str | None = None) -> Callable[[Measured], float]:
    return lambda measured: measured.ratio(part, name, baseline).median


def _worst(part: str) -> Callable[[Measured], float]:
    return lambda measured: max(measured.ratio(part, sample.name).median for sample in measured.part(part))


def _beside_its_floor(name: str) -> Callable[[Measured], float]:
    return lambda measured: measured.ratio("additions", name, measured.detail("additions", name, "floor")).median


def _commands(name: str) -> Callable[[Measured], float]:
    return lambda measured: float(measured.detail("additions", name, "commands"))


TARGETS = (
    Target(sentence="seen token, no database user", value=_ratio("handler", "ours, seen token"), limit=1.07),
    Target(sentence="first sight of an RS256 token", value=_ratio("handler", "ours, first sight"), limit=1.50),
    Target(
        sentence="first sight of an RS256 token, TOKEN_CACHE 0",
        value=_ratio("handler", "ours, first sight, TOKEN_CACHE 0"),
        limit=1.42,
    ),
    Target(
        sentence="seen token with a database user, beside a DRF session",
        value=_ratio("handler", "ours, seen token, looked-up user", "DRF session"),
        limit=1.00,
    ),
    Target(
        sentence="its queries",
        value=lambda measured: measured.detail("handler", "ours, seen token, looked-up user", "queries"),
        limit=1,
        unit=" queries",
    ),
    Target(
        sentence="seen token, looked-up user, SQLite",
        value=_ratio("handler", "ours, seen token, looked-up user"),
        limit=1.80,
    ),
    Target(
        sentence="seen token, provisioned user, SQLite",
        value=_ratio("handler", "ours, seen token, provisioned user"),
        limit=2.00,
    ),
    Target(
        sentence="seen token, user cache switched on",
        value=_ratio("handler", "ours, seen token, user cache"),
        limit=1.10,
    ),
    Target(
        sentence="verification with all rules, beside the bare RSA check",
        value=_ratio("verification", "ours, all rules"),
        limit=1.45,
    ),
    Target(
        sentence="seen DPoP token, beside a seen token with a bare ES256 check and cache.add",
        value=_beside_its_floor("ours, seen DPoP token, Redis"),
        limit=1.15,
    ),
    Target(
        sentence="its commands to Redis", value=_commands("ours, seen DPoP token, Redis"), limit=1, unit=" commands"
    ),
    Target(
        sentence="seen opaque token, beside a seen JWT", value=_beside_its_floor("ours, seen opaque token"), limit=1.03
    ),
    Target(sentence="its commands to Redis", value=_commands("ours, seen opaque token"), limit=0, unit=" commands"),
    Target(
        sentence="deny list with a copy younger than 2 s, beside none",
        value=_beside_its_floor("ours, deny list, own copy"),
        limit=1.05,
    ),
    Target(sentence="its commands to Redis", value=_commands("ours, deny list, own copy"), limit=0, unit=" commands"),
    Target(
        sentence="deny list that is asked, beside a seen token with cache.get_many",
        value=_beside_its_floor("ours, deny list, asked for each request"),
        limit=1.15,
    ),
    Target(
        sentence="its commands to Redis",
        value=_commands("ours, deny list, asked for each request"),
        limit=1,
        unit=" commands",
    ),
    Target(
        sentence="throughput over HTTP, seen token",
        value=lambda measured: 1 / measured.ratio("http", "ours, seen token").median,
        limit=0.93,
        at_least=True,
    ),
    Target(sentence="1 to 100 keys", value=_worst("keys"), limit=1.03),
    Target(sentence="1 to 1000 issuers", value=_worst("issuers"), limit=1.03),
    Target(
        sentence="fetches of the key set for 50 first requests at once",
        value=lambda measured: measured.median("herd", "fetches of the key set for 50 first requests at once"),
        limit=1,
        unit=" fetches",
    ),
    Target(
        sentence="95th percentile of a seen token beside one busy thread",
        value=lambda measured: _largest(measured, "busy thread") * 1e6,
        limit=100,
        unit=" µs",
    ),
    Target(
        sentence="import after Django and DRF, CPU time",
        value=lambda measured: _largest(measured, "import") * 1e3,
        limit=40,
        unit=" ms",
    ),
)


def _largest(measured: Measured, part: str) -> float:
    values = [measured.median(part, sample.name) for sample in measured.part(part)]
    if not values:
        raise KeyError(part)
    return max(values)


def text(samples: Iterable[Sample]) -> str:
    """All tables, as Markdown."""
    measured = Measured(samples)
    sections = (
        ("Targets", _targets(measured)),
        ("Whole requests in one process", _requests(measured, "handler")),
        ("What bound, opaque and revocable tokens add", _additions(measured)),
        ("Over HTTP", _requests(measured, "http")),
        ("A token alone", _tokens(measured)),
        ("What must not grow", _growth(measured)),
        ("Once", _single(measured)),
    )
    return "\n\n".join(f"### {title}\n\n{table}" for title, table in sections if table)


def write(docs: Path, samples: Sequence[Sample], machine: Mapping[str, Any]) -> None:
    """Put the tables into performance.md, between its marks, and the plot beside it."""
    page = docs / "performance.md"
    _plot(Measured(samples), docs / "performance.png")
    picture = "![Time per request beside the open view](performance.png)"
    measured = f"{_conditions(machine)}\n\n{picture}\n\n{text(samples)}"
    page.write_text(between_marks(page.read_text(encoding="utf-8"), measured), encoding="utf-8")


def between_marks(page: str, measured: str) -> str:
    """The page with something else between its marks. Raises ValueError where it does not have each mark once, in their order."""
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after or END in before:
        raise ValueError("the page does not have each mark once")
    return f"{before}{BEGIN}\n\n{measured}\n\n{END}{after}"


def _targets(measured: Measured) -> str:
    rows = []
    for target in TARGETS:
        try:
            value = target.value(measured)
        except (KeyError, ValueError):
            rows.append((target.sentence, _limit(target), "not measured", ""))
            continue
        shown = f"{value:.2f}" if not target.unit else f"{value:.3g}{target.unit}"
        rows.append((target.sentence, _limit(target), shown, "met" if target.met(value) else "**missed**"))
    return _table(("what", "target", "measured", ""), rows)


def _limit(target: Target) -> str:
    number = f"{target.limit:.2f}" if not target.unit else f"{target.limit:g}"
    return f"{'≥' if target.at_least else '≤'} {number}{target.unit}"


def _requests(measured: Measured, part: str) -> str:
    rows = []
    for sample in sorted(measured.part(part), key=lambda each: (each.details["baseline"], _center(measured, each))):
        seconds, ratio = measured.median(part, sample.name), measured.ratio(part, sample.name)
        rows.append(
            (
                sample.name,
                _version(sample.details["package"]),
                "yes" if sample.details["database_user"] else "",
                *([str(sample.details["queries"])] if part == "handler" else []),
                f"{seconds * 1e6:.0f}" if part == "handler" else f"{1 / seconds:.0f}",
                *_with_quartiles(ratio if part == "handler" else _inverse(ratio)),
            )
        )
    time = ("queries", "µs") if part == "handler" else ("requests/s",)
    return _table(("case", "package", "database user", *time, "ratio", "quartiles"), rows) if rows else ""


_ABOUT_ADDITIONS = """\
Whole requests to REST framework's view, measured side by side. The lines that begin with "seen token, with" are floors:
a seen token, and only what the same libraries need for the rest. "Ours" is what a case takes longer than its floor: the
seen token with a bare ES256 check and `cache.add` for a DPoP token, with `cache.get_many` for a deny list that is asked,
and alone for the others. In parentheses are the quartiles."""


def _additions(measured: Measured) -> str:
    rows = []
    for sample in measured.part("additions"):
        floor = sample.details.get("floor")
        ours = measured.difference(sample.part, sample.name, floor) if floor in measured.names(sample.part) else None
        rows.append(
            (
                sample.name,
                _version(sample.details["package"]),
                str(sample.details["commands"]),
                f"{measured.median(sample.part, sample.name) * 1e6:.0f}",
                _microseconds(measured.difference(sample.part, sample.name, SEEN)),
                "" if ours is None else _microseconds(ours),
            )
        )
    head = ("case", "package", "commands to Redis", "µs", "beyond a seen token, µs", "of it ours, µs")
    return f"{_ABOUT_ADDITIONS}\n\n{_table(head, rows)}" if rows else ""


def _microseconds(difference: Spread) -> str:
    low, median, high = (f"{value * 1e6:.1f}" for value in (difference.low, difference.median, difference.high))
    return f"{median} ({low} to {high})"


def _tokens(measured: Measured) -> str:
    rows = [
        (
            sample.name,
            _version(sample.details["package"]),
            f"{measured.median(sample.part, sample.name) * 1e6:.1f}",
            *_with_quartiles(measured.ratio(sample.part, sample.name)),
        )
        for sample in sorted(measured.part("verification"), key=lambda each: _center(measured, each))
    ]
    return _table(("what", "package", "µs", "ratio", "quartiles"), rows) if rows else ""


def _growth(measured: Measured) -> str:
    rows = [
        (
            part,
            sample.name,
            f"{measured.median(part, sample.name) * 1e6:.2f}",
            *_with_quartiles(measured.ratio(part, sample.name)),
        )
        for part in ("keys", "issuers", "issuers that all send", "token cache")
        for sample in measured.part(part)
        if sample.unit == "second"
    ]
    return _table(("what grows", "case", "µs", "ratio to the smallest", "quartiles"), rows) if rows else ""


def _single(measured: Measured) -> str:
    rows = []
    for part in ("herd", "busy thread", "import", "token cache"):
        for sample in measured.part(part):
            if part == "token cache" and sample.unit == "second":
                continue
            value = measured.median(part, sample.name)
            shown = {"byte": f"{value:.0f} bytes", "integer": f"{value:.0f}", "second": f"{value * 1e6:.1f} µs"}
            if part == "import":
                shown["second"] = f"{value * 1e3:.1f} ms"
            rows.append((part, sample.name, shown[sample.unit]))
    return _table(("what", "measured", "value"), rows) if rows else ""


def _center(measured: Measured, sample: Sample) -> float:
    return measured.ratio(sample.part, sample.name).median


def _inverse(times: Spread) -> Spread:
    """A ratio of times as one of throughputs."""
    return Spread(low=1 / times.high, median=1 / times.median, high=1 / times.low)


def _with_quartiles(ratio: Spread) -> tuple[str, str]:
    return f"{ratio.median:.2f}", f"{ratio.low:.2f} to {ratio.high:.2f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _version(package: str) -> str:
    return f"{package} {importlib.metadata.version(package)}"


def _conditions(machine: Mapping[str, Any]) -> str:
    versions = ", ".join(_version(package) for package in VERSIONS)
    return (
        f"Measured on {machine['measured_at']:%d %B %Y}, commit {machine['commit']}: "
        f"{machine.get('cpu_model_name', 'unknown processor')}, {machine['cpu_count']} processors, "
        f"{machine['platform'].partition('-with-')[0]}, load {machine['load']:.1f}; "
        f"Python {machine['python_version'].split()[0]}, {versions}."
    )


def _plot(measured: Measured, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    baselines = sorted({sample.details["baseline"] for sample in measured.part("handler")})
    groups = [
        sorted(
            (sample for sample in measured.part("handler") if sample.details["baseline"] == baseline),
            key=lambda each: _center(measured, each),
        )
        for baseline in baselines
    ]
    height = 0.4 * sum(len(group) + 1 for group in groups)
    figure, drawn = pyplot.subplots(
        len(groups),
        figsize=(10, height + 0.8),
        height_ratios=[len(group) + 1 for group in groups],
        sharex=True,
        layout="constrained",
        squeeze=False,
    )
    for axes, group, baseline in zip(drawn[:, 0], groups, baselines, strict=True):
        _bars(measured, axes, group, baseline)
    drawn[-1, 0].set_xlabel("bars are medians of ratios within a round, lines reach from quartile to quartile")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def _bars(measured: Measured, axes: Any, group: Sequence[Sample], baseline: str) -> None:
    spreads = [measured.ratio("handler", sample.name) for sample in group]
    colors = ["#1f6feb" if sample.name.startswith(("ours", "plain, ours")) else "#9aa4b2" for sample in group]
    places = range(len(group))
    axes.barh(places, [each.median for each in spreads], color=colors)
    axes.set_yticks(places, [sample.name for sample in group])
    axes.hlines(places, [each.low for each in spreads], [each.high for each in spreads], color="#333333", linewidth=1)
    for place, each, sample in zip(places, spreads, group, strict=True):
        label = f"{each.median:.2f}" + ("  database user" if sample.details["database_user"] else "")
        axes.annotate(
            label, (max(each.high, each.median), place), (6, 0), textcoords="offset points", va="center", fontsize=9
        )
    axes.axvline(1, color="#333333", linewidth=1, linestyle=":")
    axes.invert_yaxis()
    axes.set_xlim(0, max(axes.get_xlim()[1], max(each.high for each in spreads) * 1.15))
    axes.set_title(f"Time of a whole request, {baseline} = 1.00; ours in blue", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
