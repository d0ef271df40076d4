"""`shoal new`: what it writes runs and passes its own tests at once, and nothing that is there is ever touched."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import shoal
from shoal.app import cli, new
from shoal.app.new import FolderTaken, NameRefused, package_of, templates, write_project
from shoal.balancer.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
STARTER = ROOT / "app" / "starter"
BUILD = ROOT / "build"
RUN_S_MAX = 240  # seconds where nobody else computes
EXPECTED = 36  # tests of a new project, two of them in a page
NEEDING_NOTHING = 17  # of them, neither a browser nor a C compiler


def all_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.glob("**/*") if path.is_file()}


@pytest.mark.parametrize(
    "name",
    [
        *("", "A", "MyApp", "my app", "1st", "-a", "a-", "a--b", "_a", "é", "a\n", "a\x00", "--help", "$(x)", "{name}"),
        *("..", ".", "../up", "a/b", "/a", "a\\b", "a.b", "x" * 51),
        *("class", "async", "json", "asyncio", "shoal", "tests", "web", "build", "msgspec", "hypothesis", "pytest"),
    ],
)
def test_a_name_that_no_project_can_have_is_refused(name: str, tmp_path: Path):
    with pytest.raises(NameRefused) as refused:
        write_project(name, tmp_path, build=BUILD)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "package"), [("a", "a"), ("my-app", "my_app"), ("my_app2", "my_app2"), ("x" * 50, "x" * 50)]
)
def test_the_package_has_the_projects_name(name: str, package: str, tmp_path: Path):
    assert package_of(name) == package
    project = write_project(name, tmp_path, build=BUILD)
    assert (project / package / "actors.py").is_file()
    assert tomllib.loads((project / "pyproject.toml").read_text())["project"]["name"] == name


@pytest.mark.parametrize("kind", ["file", "folder", "empty", "dangling"])
def test_what_is_there_is_never_touched(kind: str, tmp_path: Path):
    there = tmp_path / "my-app"
    match kind:
        case "file":
            there.write_text("mine")
        case "folder":
            there.mkdir()
            (there / "Makefile").write_text("mine")
        case "empty":
            there.mkdir()
        case "dangling":
            there.symlink_to(tmp_path / "elsewhere")
    before = sorted(tmp_path.glob("**/*"))
    with pytest.raises(FolderTaken, match="is there already"):
        write_project("my-app", tmp_path, build=BUILD)
    assert sorted(tmp_path.glob("**/*")) == before
    assert all(path.read_text() == "mine" for path in before if path.is_file())


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    good = STARTER / "README.md"
    monkeypatch.setattr(new, "templates", lambda: {"a/b/c.md": good, "d.md": good, "e.md": tmp_path / "missing"})
    with pytest.raises(FileNotFoundError):
        write_project("my-app", tmp_path, build=BUILD)
    assert list(tmp_path.iterdir()) == []


def test_what_others_put_there_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Slow(type(tmp_path)):
        def read_bytes(self):
            (tmp_path / "my-app" / "a" / "theirs").write_text("mine")
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(new, "templates", lambda: {"a/b.md": STARTER / "README.md", "c.md": Slow("x")})
    with pytest.raises(OSError, match="No space"):
        write_project("my-app", tmp_path, build=BUILD)
    assert all_files(tmp_path) == {"my-app/a/theirs"}


def test_the_folder_must_be_there(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="no folder"):
        write_project("my-app", tmp_path / "missing", build=BUILD)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigurationError, match="no folder"):
        write_project("my-app", tmp_path / "file", build=BUILD)


@pytest.mark.parametrize("build", ['a "quoted" one', "back\\slash", "a#b $(c) ü 漢", "starter-app/starter_app"])
def test_the_build_folder_is_found_again_whatever_it_is_called(build: str, tmp_path: Path):
    project = write_project("my-app", tmp_path, build=tmp_path / build)
    settings = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    assert settings["tool"]["my-app"]["browser-files"] == str(tmp_path / build)


@pytest.mark.parametrize("build", ["a\nb", "a\x7fb", "a\udcffb"])
def test_a_build_folder_that_no_text_can_name_is_refused(build: str, tmp_path: Path):
    with pytest.raises(ConfigurationError, match="--build"):
        write_project("my-app", tmp_path, build=Path(build))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("python", "expected"), [("/a/b-1.0/python3.11", "/a/b-1.0/python3.11"), ("/a b/$(x)", "python3"), ("", "python3")]
)
def test_the_makefile_runs_the_python_that_wrote_it_if_make_can(python: str, expected: str, tmp_path: Path):
    makefile = write_project("my-app", tmp_path, build=BUILD, python=python) / "Makefile"
    assert re.findall(r"^PYTHON \?= (.*)$", makefile.read_text(), re.MULTILINE) == [expected]


def test_nothing_of_the_starters_own_name_is_left(tmp_path: Path):
    project = write_project("my-app", tmp_path, build=BUILD)
    found = all_files(project)
    assert len(found) == len(templates())
    assert {".gitignore", "Makefile", "README.md", "my_app/actors.py", "web/murmur3.wasm"} <= found
    assert "gitignore" not in found
    assert [name for name in found if "starter" in name] == []
    named = re.compile(rb"starter[-_]app")
    assert [name for name in found if named.search((project / name).read_bytes())] == []
    assert (project / "web" / "murmur3.wasm").read_bytes() == (STARTER / "web" / "murmur3.wasm").read_bytes()


def test_the_package_holds_every_file_of_the_starter():
    """An installed shoal, as on the compiled legs, as well as a checkout."""
    left_by_runs = {"__pycache__", ".pytest_cache", "build"}
    ours = {path for path in all_files(STARTER) if not left_by_runs & set(path.split("/"))}
    assert set(templates()) == ours


def test_the_wheel_of_pages_leaves_the_starter_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools" / "wasm"))
    from contents import of_page

    plain = {f"shoal/app/starter/{name}": b"" for name in templates()}
    plain |= {f"shoal/app/{name}.py": b"" for name in ("__init__", "page_actor", "new", "page_files")}
    kept = of_page(plain, [], b"")
    assert {name for name in kept if "/app/" in name} == {"shoal/app/__init__.py", "shoal/app/page_actor.py"}


def test_the_command_tells_what_to_do_next_and_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    given = ("new", "my-app", "--folder", str(tmp_path), "--build", str(tmp_path / "build"))
    assert cli.main((*given, "--json")) == 0
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert row["event"] == "written"
    assert row["folder"] == str(tmp_path / "my-app")
    assert "make wasm" in row["page_lacks"]
    assert cli.main(given) == 2
    assert re.fullmatch(r"shoal: \S+/my-app is there already; [^\n]+\n", capsys.readouterr().err)
    assert cli.main(("new", "My App", "--folder", str(tmp_path), "--json")) == 2
    assert json.loads(capsys.readouterr().out)["reason"] == "name"
    assert cli.main(("new", "another", "--folder", str(tmp_path))) == 0
    assert "make test" in capsys.readouterr().err


@pytest.mark.real
def test_a_new_project_passes_its_tests_natively_and_in_chromium(tmp_path: Path):
    if shutil.which("make") is None:
        pytest.skip("no make (Debian, as root: apt-get install make)")
    project = write_project("my-app", tmp_path, build=BUILD)
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("SHOAL_", "PYTEST_", "MAKE"))}
    environment = {**clean, "PYTHONPATH": str(Path(shoal.__file__).resolve().parents[1])}

    def make(*words: str) -> str:
        done = subprocess.run(
            ["make", *words],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            timeout=RUN_S_MAX,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert make("run", "ARGS=hello").splitlines() == ["248bfa47  hello", "1 hashed"]
    said = make("test", "ARGS=-p no:cacheprovider")
    passed = re.search(r"(\d+) passed", said)
    assert passed, said
    skipped = re.findall(r"SKIPPED \[\d+\] (.*)", said)
    assert int(passed[1]) == (EXPECTED if not skipped else max(int(passed[1]), NEEDING_NOTHING)), said
    if skipped:
        pytest.skip("; ".join(skipped))
    assert make("build").strip() == "build/site is for any static server"
    written = {path.name for path in (project / "build" / "site").iterdir()}
    assert {"index.html", "parts.json", "my_app", "pyodide", "wheels"} <= written


@pytest.mark.real
def test_the_c_gives_the_webassembly_that_is_here(tmp_path: Path):
    """Byte for byte, by the command that a project's Makefile has, with the compiler that `make wasm` installs."""
    python = ROOT / ".venv-wasm" / "bin" / "python"
    if not python.exists():
        pytest.skip("no compiler for WebAssembly; run: make wasm")
    project = write_project("my-app", tmp_path, build=BUILD)
    made = project / "web" / "murmur3.wasm"
    expected = made.read_bytes()
    made.unlink()
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(tmp_path / "zig"), "ZIG_LOCAL_CACHE_DIR": str(tmp_path / "zig")}
    command = ["make", "wasm", f"PYTHON={python}"]
    subprocess.run(command, cwd=project, env={**os.environ, **caches}, check=True, capture_output=True)
    assert made.read_bytes() == expected
