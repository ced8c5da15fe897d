"""What `make demo` runs, as a process: every answer checked, every failure one line, nothing left behind."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.processes import call, environment


@pytest.fixture
def ports(free_port: Callable[[], int]) -> dict[str, str]:
    return {"PORT": str(free_port()), "ISSUER_PORT": str(free_port())}


def run(example: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(example / "demo.py")]
    env = environment(**variables)
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


def listening(port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


def until(true: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not (reached := true()) and time.monotonic() < deadline:
        time.sleep(0.05)  # between two looks at a process
    return reached


@contextmanager
def serving(example: Path, **variables: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The demonstration once it serves, and what it printed until then."""
    command = [sys.executable, str(example / "demo.py")]
    child = subprocess.Popen(command, env=environment(**variables), stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    printed = []
    try:
        for line in child.stdout:
            printed.append(line)
            if line.startswith("Ctrl-C"):
                break
        yield child, "".join(printed)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_once(example_copy: Path, ports: dict[str, str]) -> None:
    # Twice: the second time the database and the admin are there already.
    for _ in range(2):
        done = run(example_copy, ONCE="1", **ports)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith("\nAll 15 answers are right.\n")
        calls = re.findall(r"^curl -i (\S+)(.*)\n  (\d+)", done.stdout, re.MULTILINE)
        origin = f"http://127.0.0.1:{ports['PORT']}"
        address = f"{origin}/api/"
        document = f"{origin}/.well-known/oauth-protected-resource"
        expected = [
            (f"{address}{path}", f' -H "Authorization: Bearer ${token}"' if token else "", status)
            for path, statuses in {
                "public": ("200", "200", "200"),
                "private": ("401", "200", "200"),
                "private-scoped": ("401", "403", "200"),
            }.items()
            for token, status in zip(("", "TOKEN", "SCOPED"), statuses, strict=True)
        ]
        opaque = [(f"{address}private", ' -H "Authorization: Bearer $OPAQUE"', status) for status in ("200", "401")]
        assert calls == [*expected, (document, "", "200"), *opaque]
        revocation = (
            f"curl -u demo-opaque:demo-opaque-secret -d token=$OPAQUE http://127.0.0.1:{ports['ISSUER_PORT']}/revoke"
        )
        assert f"\n{revocation}\n  200\n" in done.stdout
        assert '"reason":"token_inactive"' in done.stdout
        assert done.stdout.count(f'resource_metadata="{document}"') == 4
        assert f'"authorization_servers": ["http://127.0.0.1:{ports["ISSUER_PORT"]}"]' in done.stdout
        assert len(re.findall(r"^(TOKEN|SCOPED)=ey[\w-]+\.[\w-]+\.[\w-]+$", done.stdout, re.MULTILINE)) == 2
        bound = re.findall(r'^  (\d+)  (\w+).*"(?:reason|message)":"([^"]+)', done.stdout, re.MULTILINE)
        assert [each for each in bound if each[1] in ("with", "stolen")] == [
            ("200", "with", "All good. You're authenticated and the access token has the appropriate scope"),
            ("401", "with", "proof_replayed"),
            ("401", "stolen", "token_bound_to_key"),
        ]
        assert len(re.findall(r"^OPAQUE=[\w-]+$", done.stdout, re.MULTILINE)) == 1
        assert not listening(ports["PORT"])
        assert not listening(ports["ISSUER_PORT"])


def test_the_environment_of_the_shell_is_not_used(example_copy: Path, ports: dict[str, str]) -> None:
    foreign = {"DATABASE_URL": "postgresql://127.0.0.1:1/nobody", "AUTH0_DOMAIN": "tenant.eu.auth0.com", "DEBUG": "0"}
    done = run(example_copy, ONCE="1", **foreign, **ports)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "The demo has settings of its own; not used here: AUTH0_DOMAIN, DATABASE_URL, DEBUG.\n"
    )


BROKEN = {
    "the-metadata-are-not-served": (
        "mysite/urls.py",
        '    path("", include("resource_server.urls")),\n',
        "",
        "WRONG: status is not 200",
        "error: 1 answer is not as it must be",
    ),
    "the-scope-is-not-asked-for": (
        "myapp/views.py",
        '@requires_scope("example:scope")\n',
        "",
        "WRONG: status is not 403",
        "error: 3 answers are not as they must be",
    ),
    "the-scope-is-another": (
        "myapp/views.py",
        '@requires_scope("example:scope")\n',
        '@requires_scope("other:scope")\n',
        "WRONG: challenge is not",
        "error: 5 answers are not as they must be",
    ),
    "a-body-is-another": (
        "myapp/views.py",
        "All good. You only",
        "All right. You only",
        "WRONG: body is not",
        "error: 3 answers are not as they must be",
    ),
    "the-realm-is-another": (
        "mysite/settings.py",
        '    "ISSUER": _issuer,\n',
        '    "ISSUER": _issuer,\n    "REALM": "other",\n',
        "WRONG: challenge is not",
        "error: 4 answers are not as they must be",
    ),
}


@pytest.mark.parametrize(("file", "old", "new", "fault", "line"), BROKEN.values(), ids=BROKEN)
def test_a_wrong_answer_fails(
    example_copy: Path, ports: dict[str, str], file: str, old: str, new: str, fault: str, line: str
) -> None:
    path = example_copy / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    done = run(example_copy, ONCE="1", **ports)
    assert (done.returncode, done.stderr) == (1, f"{line}\n")
    assert fault in done.stdout
    assert not listening(ports["PORT"])
    assert not listening(ports["ISSUER_PORT"])


@pytest.mark.parametrize("variable", ["PORT", "ISSUER_PORT"])
def test_a_port_in_use_is_one_line(example_copy: Path, ports: dict[str, str], variable: str) -> None:
    with socket.create_server(("127.0.0.1", int(ports[variable]))):
        done = run(example_copy, **ports)
    port = int(ports[variable])
    hint = f"choose another one with {variable}, as in: make demo {variable}="
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(re.escape(f"error: port {port} is in use: {hint}") + r"\d+\n", done.stderr)


WRONG_PORTS = {
    "no-number": ({"PORT": "http"}, "PORT must be a number from 1 to 65535"),
    "too-large": ({"ISSUER_PORT": "65536"}, "ISSUER_PORT must be a number from 1 to 65535"),
    "the-same": ({"PORT": "9000"}, "PORT and ISSUER_PORT are both 9000: choose two different ones"),
}


@pytest.mark.parametrize(("variables", "message"), WRONG_PORTS.values(), ids=WRONG_PORTS)
def test_a_wrong_port_is_one_line(example_copy: Path, variables: dict[str, str], message: str) -> None:
    done = run(example_copy, **variables)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {message}\n")


def test_a_server_that_does_not_start_shows_its_last_lines(example_copy: Path, ports: dict[str, str]) -> None:
    (example_copy / "mysite" / "urls.py").write_text('raise RuntimeError("broken on purpose")\n', encoding="utf-8")
    done = run(example_copy, **ports)
    assert done.returncode == 1
    assert done.stderr.startswith("error: api ended by itself with status 1; its last lines:\n")
    assert "RuntimeError: broken on purpose" in done.stderr
    assert not listening(ports["ISSUER_PORT"])


def test_a_failing_migration_is_one_line(example_copy: Path, ports: dict[str, str]) -> None:
    (example_copy / "db.sqlite3").write_text("not a database, but more than a hundred bytes of something else" * 3)
    done = run(example_copy, **ports)
    assert (done.returncode, done.stderr) == (1, "error: DatabaseError: file is not a database\n")


def test_it_serves_until_it_is_stopped(example_copy: Path, ports: dict[str, str]) -> None:
    with serving(example_copy, **ports) as (demo, printed):
        address = f"http://127.0.0.1:{ports['PORT']}"
        found = re.search(rf"{address}/admin/   user admin, password (\S+)", printed)
        assert found is not None
        assert f"{address}/\n" in printed
        form = call(address, "/admin/login/?next=/admin/")
        field = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
        assert field is not None
        filled = {"csrfmiddlewaretoken": field[1], "username": "admin", "password": found[1]}
        assert call(address, "/admin/login/?next=/admin/", form=filled, cookies=form.cookies).status == 302
        demo.terminate()
        assert demo.wait(timeout=30) == 0
        assert not listening(ports["PORT"])
        assert not listening(ports["ISSUER_PORT"])


def test_the_line_with_a_persons_token_is_a_command(example_copy: Path, ports: dict[str, str]) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    with serving(example_copy, **ports) as (_demo, printed):
        [line] = re.findall(r"^curl .*person_token\.py.*$", printed, re.MULTILINE)
        variables = environment(PATH=os.environ["PATH"])
        done = subprocess.run(["/bin/sh", "-c", line], env=variables, capture_output=True, text=True, check=True)
        assert done.stdout.startswith("HTTP/1.1 200 OK")


USERS = "from django.contrib.auth import get_user_model as model; users = model().objects; "
SHOW = "print([(u.username, u.check_password('of-the-owner'), u.is_active, u.is_staff, u.is_superuser) for u in users.all()])"


@pytest.mark.parametrize("is_active", [True, False])
def test_a_user_that_the_demo_did_not_make_stays_as_it_is(
    example_copy: Path, ports: dict[str, str], is_active: bool
) -> None:
    def shell(code: str) -> str:
        command = [sys.executable, str(example_copy / "manage.py"), "shell", "--no-imports", "-c", code]
        done = subprocess.run(command, env=environment(DEBUG="1"), capture_output=True, text=True, check=True)
        return done.stdout.strip()

    command = [sys.executable, str(example_copy / "manage.py"), "migrate", "--verbosity", "0"]
    subprocess.run(command, env=environment(DEBUG="1"), check=True)
    shell(USERS + f"users.create_user('admin', password='of-the-owner', is_active={is_active})")
    with serving(example_copy, **ports) as (_demo, printed):
        assert "user admin, with its password of before; " in printed
    assert shell(USERS + SHOW) == str([("admin", True, is_active, False, False)])


def test_the_password_of_the_first_time_is_good_the_second_time(example_copy: Path, ports: dict[str, str]) -> None:
    # A run that only checks the answers shows no password, so it makes no user.
    assert run(example_copy, ONCE="1", **ports).returncode == 0
    with serving(example_copy, **ports) as (_demo, printed):
        found = re.search(r"user admin, password (\S+)", printed)
        assert found is not None
    with serving(example_copy, **ports) as (_demo, printed):
        assert "with its password of before" in printed
        address = f"http://127.0.0.1:{ports['PORT']}"
        form = call(address, "/admin/login/?next=/admin/")
        field = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
        assert field is not None
        filled = {"csrfmiddlewaretoken": field[1], "username": "admin", "password": found[1]}
        assert call(address, "/admin/login/?next=/admin/", form=filled, cookies=form.cookies).status == 302


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_no_server_outlives_it(example_copy: Path, ports: dict[str, str], signal_number: signal.Signals) -> None:
    with serving(example_copy, **ports) as (demo, _):
        os.kill(demo.pid, signal_number)
        demo.wait(timeout=30)
        assert until(lambda: not listening(ports["PORT"]) and not listening(ports["ISSUER_PORT"]))


def test_a_server_that_dies_stops_the_other(example_copy: Path, ports: dict[str, str]) -> None:
    with serving(example_copy, **ports) as (demo, _):
        children = Path(f"/proc/{demo.pid}/task/{demo.pid}/children")
        if not children.exists():
            pytest.skip("the children of a process are found through Linux's /proc")
        os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
        assert demo.wait(timeout=30) == 1
        assert not listening(ports["PORT"])
        assert not listening(ports["ISSUER_PORT"])
