"""The benchmarks' own reasoning, without the peers: order, ratios, what is refused, and what the page keeps. Nothing is timed."""

import json
import re
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
import redis
from benchmarks import additions, cases, databases, proofs, report, rounds, stores, tenant
from benchmarks.results import Sample
from django.core.cache import CacheHandler

from resource_server.testing import FakeIssuer
from resource_server.tokens.dpop import ProofKeys
from resource_server.tokens.verified_tokens import digest

ROOT = Path(__file__).parents[2]
TENANT = SimpleNamespace(
    token="good",
    forged="bad",
    pool=["one", "two"],
    session="s",
    opaque="o",
    introspected="i",
    bound="bound",
    revoked="bad",
    proof_key=proofs.new_key(),
    documents="http://127.0.0.1:1",
)
EVERY_CASE = [*cases.CASES, *additions.ADDITIONS]


def case(**changes):
    return cases.Case(**{"name": "it", "path": "/it", **changes})


def answers(good, bad):
    return lambda sent: bad if "bad" in sent.get("Authorization", "") else good


def samples(part="handler", **values):
    details = {"package": "Django", "baseline": "open view", "database_user": 0, "queries": 0}
    return [
        Sample(part=part, name=name.replace("_", " "), values=each, details=details) for name, each in values.items()
    ]


class TestRounds:
    def test_go_forwards_and_backwards_after_one_to_warm_up(self):
        called = []
        blocks = {name: lambda name=name: called.append(name) or len(called) for name in "ABC"}

        values = rounds.interleave(blocks, 2)

        assert "".join(called) == "ABC" + "CBA" + "ABC"
        assert values == {"A": [6, 7], "B": [5, 8], "C": [4, 9]}

    def test_a_ratio_is_one_of_the_same_round(self):
        # The machine was ten times slower in the second round, and the ratio does not show it.
        assert rounds.ratios([2.0, 20.0], [1.0, 10.0]) == [2.0, 2.0]

    def test_rounds_that_do_not_belong_together_have_no_ratio(self):
        with pytest.raises(ValueError, match="shorter"):
            rounds.ratios([1.0, 2.0], [1.0])

    @pytest.mark.parametrize(
        ("values", "expected"), [([3.0], (3.0, 3.0, 3.0)), ([5.0, 1.0, 3.0, 2.0, 4.0], (2.0, 3.0, 4.0))]
    )
    def test_a_spread_is_the_median_between_the_quartiles(self, values, expected):
        found = rounds.spread(values)

        assert (found.low, found.median, found.high) == expected


class TestCheck:
    def test_a_case_that_tells_good_from_bad_passes(self):
        cases.check(case(), TENANT, answers(good=200, bad=401))
        cases.check(case(refusal=403), TENANT, answers(good=200, bad=403))

    @pytest.mark.parametrize(
        ("good", "bad", "message"),
        [
            (200, 200, "a bad credential is answered with 200, not 401"),
            (200, 500, "a bad credential is answered with 500, not 401"),
            (401, 401, "a good credential is answered with 401, not 200"),
        ],
    )
    def test_a_case_that_does_not_is_refused(self, good, bad, message):
        with pytest.raises(cases.CaseRefused, match=message):
            cases.check(case(), TENANT, answers(good=good, bad=bad))

    def test_an_open_view_is_only_asked_to_answer(self):
        cases.check(case(sends="nothing"), TENANT, lambda sent: 200)
        with pytest.raises(cases.CaseRefused):
            cases.check(case(sends="nothing"), TENANT, lambda sent: 404)

    @pytest.mark.parametrize(
        "sends", ["token", "pool", "session", "opaque", "introspected", "proof", "token and proof"]
    )
    def test_every_kind_of_credential_has_a_bad_one(self, sends):
        good = cases.headers(case(sends=sends), TENANT, good=True)
        bad = cases.headers(case(sends=sends), TENANT, good=False)

        assert all(sent not in good for sent in bad)

    def test_a_first_sight_sends_tokens_that_differ(self):
        sent = cases.headers(case(sends="pool"), TENANT, good=True)

        assert sent == [{"Authorization": "Bearer one"}, {"Authorization": "Bearer two"}]


class TestCases:
    @pytest.mark.parametrize("listed", [cases.CASES, additions.ADDITIONS], ids=["cases", "additions"])
    def test_have_names_of_their_own_and_a_baseline_and_a_floor_among_them(self, listed):
        names = [each.name for each in listed]

        assert len(set(names)) == len(names)
        assert {each.baseline for each in listed} <= set(names)
        assert {each.floor for each in listed} - {""} <= set(names)

    def test_are_left_out_where_a_setting_or_a_database_is_not_known(self):
        settings = FakeIssuer().settings()

        databases = {"default": {}}
        assert cases.known_here(case(), settings, databases)
        assert not cases.known_here(case(settings={"SETTING_OF_A_LATER_VERSION": 1}), settings, databases)
        assert not cases.known_here(case(database="postgresql"), settings, databases)
        assert cases.known_here(case(database="postgresql"), settings, {**databases, "postgresql": {}})
        assert not cases.known_here(case(cache="redis"), settings, databases)
        assert cases.known_here(case(cache="redis"), settings, databases, {"default", "redis"})
        assert not cases.known_here(case(settings={"REVOCATION": "redis"}), settings, databases)

    def test_that_introspect_are_told_where(self):
        added = cases.added_settings(case(sends="introspected"), TENANT)

        assert added["INTROSPECTION"]["ENDPOINT"] == "http://127.0.0.1:1/introspect"
        assert cases.added_settings(case(sends="introspected", package="Authlib"), TENANT) == {}

    def test_of_people_are_there_for_each_database(self):
        people = {each.name: each.database for each in cases.CASES if each.database_user}
        for name in ("ours, seen token, looked-up user", "ours, seen token, provisioned user", "simplejwt"):
            assert people[name] == "default"
            assert people[f"{name}, PostgreSQL"] == "postgresql"

    def test_have_a_view_each(self):
        # urls.py cannot be imported without the peers.
        routes = re.findall(r'path\("([^"]+)"', (ROOT / "benchmarks" / "urls.py").read_text(encoding="utf-8"))

        assert {each.path for each in EVERY_CASE} == {f"/{route}" for route in routes}

    def test_of_the_targets_exist(self):
        source = (ROOT / "benchmarks" / "report.py").read_text(encoding="utf-8")
        named = set(re.findall(r'_?ratio\("(?:handler|http)", "([^"]+)"', source))
        added = set(re.findall(r'(?:_beside_its_floor|_commands)\("([^"]+)"', source))

        assert named
        assert named <= {each.name for each in cases.CASES}
        assert added == {each.name for each in additions.ADDITIONS if each.floor and "local memory" not in each.name}


class TestDatabases:
    def test_a_server_that_answers_gives_a_fresh_database_that_is_dropped(self, postgres_url, monkeypatch):
        monkeypatch.setattr(databases, "SERVER", postgres_url)
        with databases.fresh_postgresql() as url, psycopg.connect(url) as connection:
            [tables] = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
            assert tables == 0
            monkeypatch.setenv("BENCHMARK_POSTGRES", url)
            monkeypatch.setenv("BENCHMARK_TENANT", "tenant")
            assert databases.configured()["postgresql"]["NAME"] == connection.info.dbname
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            psycopg.connect(url)

    def test_without_a_server_there_is_sqlite_alone(self, monkeypatch, capsys, free_port):
        monkeypatch.setattr(databases, "SERVER", f"postgresql://postgres@127.0.0.1:{free_port()}/postgres")
        monkeypatch.setenv("BENCHMARK_TENANT", "tenant")
        with databases.fresh_postgresql() as url:
            monkeypatch.setenv("BENCHMARK_POSTGRES", url)
            assert set(databases.configured()) == {"default"}
        assert "left out: PostgreSQL" in capsys.readouterr().out

    def test_a_router_sends_everything_to_one_database(self):
        assert databases.routers("default") == []
        [router] = databases.routers("postgresql")
        assert router.db_for_read(object) == router.db_for_write(object) == "postgresql"


class TestStores:
    def test_a_server_that_answers_is_used_with_keys_that_are_deleted(self, redis_url, monkeypatch):
        monkeypatch.setattr(stores, "SERVER", redis_url)
        with redis.Redis.from_url(redis_url) as server, stores.fresh_redis() as (url, prefix):
            monkeypatch.setenv("BENCHMARK_REDIS", url)
            monkeypatch.setenv("BENCHMARK_REDIS_PREFIX", prefix)
            found = stores.configured()["redis"]
            cache = CacheHandler({"default": found})["default"]
            with stores.commands_counted() as commands:
                cache.add("key", 1, None)
            assert commands[-1] == "SET"
            assert server.dbsize() == 1
            cache.close()
        with redis.Redis.from_url(redis_url) as server:
            assert server.dbsize() == 0

    def test_without_a_server_there_is_local_memory_alone(self, monkeypatch, capsys, free_port):
        monkeypatch.setattr(stores, "SERVER", f"redis://127.0.0.1:{free_port()}")
        with stores.fresh_redis() as (url, prefix):
            monkeypatch.setenv("BENCHMARK_REDIS", url)
            monkeypatch.setenv("BENCHMARK_REDIS_PREFIX", prefix)
            assert set(stores.configured()) == {"default"}
        assert "left out: Redis" in capsys.readouterr().out


class TestTenant:
    def test_keeps_no_private_key_and_signs_tokens_that_differ(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tenant, "POOL", 3)
        monkeypatch.setenv("BENCHMARK_TENANT", str(tmp_path))

        made = tenant.make(tmp_path, "http://127.0.0.1:1")

        assert tenant.load() == made
        assert len(set(made.pool)) == 3
        assert {name for key in made.jwks["keys"] for name in key}.isdisjoint({"d", "p", "q"})
        assert "PRIVATE" not in (tmp_path / "tenant.json").read_text(encoding="utf-8")
        assert made.token.split(".")[0] == made.forged.split(".")[0]

    def test_answers_about_its_opaque_token_alone(self):
        with tenant.documents_served() as (address, documents):
            documents["/introspect/known"] = b'{"active": true}'

            def asked(token):
                form = f"token={token}".encode()
                with urllib.request.urlopen(f"{address}/introspect", form) as response:  # noqa: S310 - ours
                    return json.load(response)["active"]

            assert (asked("known"), asked("other")) == (True, False)

    def test_proofs_are_good_ones(self):
        client = proofs.Client(TENANT.proof_key)

        proof = ProofKeys().verify(
            (client.proof("/it", "token"),),
            method="GET",
            url=f"{proofs.ORIGIN}/it",
            token_digest=digest("token"),
            thumbprint=client.confirmation["jkt"],
            now=time.time(),
        )
        assert proof.jti


class TestReport:
    def test_keeps_what_is_written_around_the_marks(self):
        page = f"# Title\n\nBefore.\n\n{report.BEGIN}\nold\n{report.END}\n\nAfter.\n"

        once = report.between_marks(page, "new")

        assert once == f"# Title\n\nBefore.\n\n{report.BEGIN}\n\nnew\n\n{report.END}\n\nAfter.\n"
        assert report.between_marks(once, "new") == once

    @pytest.mark.parametrize(
        "page",
        [
            "no mark",
            report.BEGIN,
            report.END,
            f"{report.END} {report.BEGIN}",
            f"{report.BEGIN} {report.BEGIN} {report.END}",
            f"{report.BEGIN} {report.END} {report.END}",
        ],
    )
    def test_leaves_a_page_alone_that_has_not_each_mark_once(self, page):
        with pytest.raises(ValueError, match="each mark once"):
            report.between_marks(page, "new")

    def test_the_page_has_its_marks(self):
        assert report.between_marks((ROOT / "docs" / "performance.md").read_text(encoding="utf-8"), "new")

    def test_shows_the_median_of_the_ratios_and_not_the_ratio_of_the_medians(self):
        # 1.5, 2.0 and 3.0 times the open view of the same round.
        text = report.text(samples(open_view=[10.0, 1.0, 2.0], slow=[15.0, 2.0, 6.0]))

        (row,) = [line for line in text.splitlines() if line.startswith("| slow ")]
        assert "| 2.00 | 1.75 to 2.50 |" in row

    def test_says_which_targets_are_met_missed_and_not_measured(self):
        text = report.text(samples(**{"open view": [1.0], "ours, seen token": [1.07], "ours, first sight": [1.51]}))

        lines = [line for line in text.partition("###")[2].splitlines() if "≤" in line or "≥" in line]
        assert lines[0] == "| seen token, no database user | ≤ 1.07 | 1.07 | met |"
        assert lines[1] == "| first sight of an RS256 token | ≤ 1.50 | 1.51 | **missed** |"
        assert all("not measured" in line for line in lines[2:])
        assert len(lines) == len(report.TARGETS)

    def test_a_throughput_is_more_where_the_time_is_less(self):
        text = report.text(samples(part="http", **{"open view": [0.001], "ours, seen token": [0.00125]}))

        (row,) = [line for line in text.splitlines() if line.startswith("| ours, seen token ")]
        assert "| 800 | 0.80 |" in row
        assert "| throughput over HTTP, seen token | ≥ 0.93 | 0.80 | **missed** |" in text

    def test_what_is_ours_is_the_difference_to_the_floor_within_a_round(self):
        def sample(name, values, **details):
            return Sample(
                part="additions", name=name, values=values, details={"package": "Django", "commands": 1, **details}
            )

        text = report.text(
            [
                sample(additions.SEEN, [1e-4, 2e-4, 9e-4]),
                sample("floor", [1.2e-4, 2.2e-4, 9.2e-4]),
                sample("bound", [1.5e-4, 2.6e-4, 9.7e-4], floor="floor"),
            ]
        )

        rows = {line.split(" | ")[0]: line for line in text.splitlines()}
        assert rows["| bound"].endswith("| 1 | 260 | 60.0 (55.0 to 65.0) | 40.0 (35.0 to 45.0) |")
        assert rows["| floor"].endswith("| 1 | 220 | 20.0 (20.0 to 20.0) |  |")
