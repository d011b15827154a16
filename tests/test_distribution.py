"""What a user installs: a wheel with all that the package needs, under one version."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from promise_seg import __version__

ROOT = Path(__file__).parents[1]
INGREDIENTS = ("pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy, as building leaves files among the sources."""
    pytest.importorskip("setuptools", "77", reason="builds the wheel")
    copy = tmp_path_factory.mktemp("sources")
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in INGREDIENTS:
        shutil.copy(ROOT / name, copy)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--quiet", "-w", "wheels"],
        cwd=copy, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (path,) = (copy / "wheels").iterdir()
    return path


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel):
    sources = ROOT / "src"
    expected = {
        path.relative_to(sources).as_posix()
        for path in (sources / "promise_seg").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {Path(name).suffix for name in expected} >= {".py", ".safetensors", ".css", ".js", ".j2", ".yaml", ".typed"}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    assert names == expected
    assert all(sizes[name] == (sources / name).stat().st_size for name in names)


@pytest.mark.slow
def test_what_is_in_the_wheel_runs(wheel, tmp_path):
    """The command and the packaged weights, spec and page, with no sources in sight."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    code = f"""
import pathlib, sys
sys.path.insert(0, {str(tmp_path / "installed")!r})
import promise_seg
assert pathlib.Path(promise_seg.__file__).is_relative_to({str(tmp_path / "installed")!r}), promise_seg.__file__
from promise_seg.cli.main import main
from promise_seg.sam.loading import load_sam
assert load_sam("nano").image_size == 128
assert main(["--version"]) == 0
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"promise-seg {__version__}"


@pytest.mark.slow
def test_the_wheel_s_name_and_command(wheel):
    assert wheel.name == f"promise_seg-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        (entry_points,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        assert "promise = promise_seg.cli.console:run" in archive.read(entry_points).decode()


def test_the_citation_is_of_this_version_and_licence():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == __version__
    assert citation["license"] == project["license"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in project["authors"]]


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("target", ["demo", "test"])
def test_make_announces_the_long_installation_before_it_begins(tmp_path, target):
    command = ["make", "--dry-run", target, f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, installs, _ = done.stdout.partition("pip install")
    assert installs
    assert 'echo "Installing PyTorch and the other packages' in before


def test_the_checks_before_a_commit_are_those_of_make_lint():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    before_commit = {hook["entry"].split()[0] for hook in hooks}
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").split("lint:", 1)[1].split("\n\n")[0].splitlines()[1:]
    assert before_commit == {line.strip().removeprefix("$(BIN)/").split()[0] for line in lines}
