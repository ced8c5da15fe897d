"""What was measured, kept as a suite of pyperf, which also writes down the machine; `python -m pyperf show` reads it too."""

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Sample", "load", "save"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The values of one case, round by round: `second` (per operation), `byte` or `integer`. `details` are strings and numbers."""

    part: str
    name: str
    values: Sequence[float]
    unit: str = "second"
    details: Mapping[str, Any] = field(default_factory=dict)


def save(path: Path, samples: Iterable[Sample]) -> None:
    """Write the samples of one process; those of others that are in the file already stay, and the values are joined."""
    import pyperf

    benchmarks, commit = [], _commit()
    for sample in samples:
        # pyperf refuses an empty text.
        details = {f"detail_{key}": value for key, value in sample.details.items() if value != ""}
        metadata = {
            "name": f"{sample.part}: {sample.name}",
            "unit": sample.unit,
            "part": sample.part,
            "case": sample.name,
            "commit": commit,
            **details,
        }
        benchmarks.append(pyperf.Benchmark([pyperf.Run(sample.values, metadata=metadata)]))
    if not benchmarks:
        return
    suite = pyperf.BenchmarkSuite(benchmarks)
    if path.exists():
        before = pyperf.BenchmarkSuite.load(str(path))
        before.add_runs(suite)
        suite = before
    suite.dump(str(path), replace=True)


def load(path: Path) -> tuple[list[Sample], dict[str, Any]]:
    """All samples of a run, and what pyperf found out about the machine."""
    import pyperf

    suite = pyperf.BenchmarkSuite.load(str(path))
    samples = []
    for benchmark in suite.get_benchmarks():
        metadata = benchmark.get_metadata()
        details = {key[7:]: value for key, value in metadata.items() if key.startswith("detail_")}
        samples.append(
            Sample(
                part=metadata["part"],
                name=metadata["case"],
                values=list(benchmark.get_values()),
                unit=metadata.get("unit", "second"),
                details=details,
            )
        )
    first = suite.get_benchmarks()[0]
    machine = {
        **first.get_metadata(),
        "measured_at": first.get_dates()[0],
        "load": max(run.get_metadata().get("load_avg_1min", 0.0) for run in first.get_runs()),
    }
    return samples, machine


def _commit() -> str:
    """What was measured; `unknown` outside of a clone."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
