"""Binder: what repo2docker reads here, what the image would do, and that what it compiled is found when it runs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BINDER = ROOT / "binder"


def run(*command, cwd=ROOT, **environment):
    done = subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def recipe():
    tool = shutil.which("jupyter-repo2docker", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if tool is None:
        # It draws in Docker's client, a Jupyter hub's and others, which nothing else here needs; the tests below hold the rest without it.
        pytest.skip("jupyter-repo2docker is not installed (pip install jupyter-repo2docker)")
    # It prints the image's recipe; nothing is built and Docker is not needed.
    done = subprocess.run([tool, "--no-build", "--debug", str(ROOT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


def test_repo2docker_reads_every_file_of_the_folder(recipe):
    version = re.search(r"python=([\d.]+)", (BINDER / "environment.yml").read_text())[1]
    assert f"Building conda environment for python={version}" in recipe
    assert 'env update -p ${NB_PYTHON_PREFIX} --file "binder/environment.yml"' in recipe
    assert "RUN ./binder/postBuild" in recipe
    assert 'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in recipe.replace("R2D_ENTRYPOINT ", "R2D_ENTRYPOINT=")


def test_the_checkout_lies_in_one_place_when_it_is_built_and_when_it_runs(recipe):
    assert len(set(re.findall(r"^ENV REPO_DIR=.*$", recipe, re.MULTILINE))) == 1
    assert recipe.index("COPY --chown") < recipe.index("RUN ./binder/postBuild")
    assert not re.search(r"^(?:COPY|ADD) .*src/ .*$", recipe[recipe.index("RUN ./binder/postBuild") :], re.MULTILINE)


def test_it_starts_with_the_same_settings_that_it_compiled_with(tmp_path):
    said = run(
        str(BINDER / "start"),
        sys.executable,
        "-c",
        "import os; print(os.environ['NUMBA_CPU_NAME'], os.environ['HFTLAB_CACHE_DIR'])",
        REPO_DIR="/r",
    )
    assert said.split() == ["generic", "/r/.cache"]
    warms = re.findall(r"^(.*hftlab warm.*)$", (BINDER / "postBuild").read_text(), re.MULTILINE)
    assert warms
    assert all(line.startswith("binder/start ") for line in warms)
    assert run(str(BINDER / "start"), "echo", "two words", "$HOME").strip() == "two words $HOME"


def test_a_kernel_that_was_compiled_here_is_found_on_another_processor_and_after_a_layer(tmp_path):
    # What the image does to a source between build and run: its time is cut to whole seconds. And the processor is another one.
    source = tmp_path / "k.py"
    source.write_text("import numba\n\n@numba.njit(cache=True)\ndef f(x):\n    return x + 1\n")
    code = "import k; k.f(1); print(sum(k.f.stats.cache_hits.values()), k.f.targetctx.codegen().magic_tuple()[1:])"
    given = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path), "REPO_DIR": str(tmp_path), "NUMBA_DISABLE_JIT": "0"}
    (times,) = re.findall(r"^find hftlab (.*)$", (BINDER / "postBuild").read_text(), re.MULTILINE)
    run("bash", "-c", f"find {tmp_path} {times}")
    start = str(BINDER / "start")
    assert run(start, sys.executable, "-c", code, cwd=tmp_path, **given) == "0 ('generic', '')\n"  # nothing of this machine's processor
    os.utime(source, ns=(0, source.stat().st_mtime_ns // 10**9 * 10**9))
    assert run(start, sys.executable, "-c", code, cwd=tmp_path, **given) == "1 ('generic', '')\n"


def test_post_build_leaves_whole_seconds():
    (line,) = re.findall(r"^find .*$", (BINDER / "postBuild").read_text(), re.MULTILINE)
    assert re.fullmatch(r"""find hftlab -name '\*\.py' -exec touch -d "@\$\(date \+%s\)" \{\} \+""", line)
    text = (BINDER / "postBuild").read_text()
    assert text.index("touch") < text.index("compileall") < text.index("hftlab warm")


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("https://github.com/ann/hftlab", "gh/ann/hftlab"),
        ("https://github.com/ann/hftlab.git", "gh/ann/hftlab"),
        ("git@github.com:ann/hftlab.git", "gh/ann/hftlab"),
        ("https://gitlab.com/group/ann/hftlab/", "gl/group%2Fann%2Fhftlab"),
        ("https://git.example.org/ann/hftlab", "git/https%3A%2F%2Fgit.example.org%2Fann%2Fhftlab"),
    ],
)
def test_the_badges_lead_to_the_notebook_and_to_the_desk(tmp_path, address, place):
    (tmp_path / "binder").mkdir()
    shutil.copy(BINDER / "badge", tmp_path / "binder")
    shutil.copy(ROOT / "README.md", tmp_path)
    for _ in range(2):  # the second time it takes the place of the first
        run(sys.executable, "binder/badge", address, cwd=tmp_path)
    text = (tmp_path / "README.md").read_text()
    links = re.findall(r"\((https://mybinder\.org/v2/[^ ]+) ", text)
    assert links == [
        f"https://mybinder.org/v2/{place}/HEAD?urlpath=lab%2Ftree%2Fnotebooks%2F01_first_quote.ipynb",
        f"https://mybinder.org/v2/{place}/HEAD?urlpath=hftlab%2Fvoila%2Frender%2Ftrading_desk.ipynb",
    ]
    assert (ROOT / "notebooks" / "01_first_quote.ipynb").exists()
    assert (ROOT / "notebooks" / "dashboards" / "trading_desk.ipynb").exists()


@pytest.mark.parametrize("address", ["", "/srv/git/hftlab", "hftlab"])
def test_an_address_that_nobody_else_can_reach_makes_no_badge(tmp_path, address):
    (tmp_path / "binder").mkdir()
    shutil.copy(BINDER / "badge", tmp_path / "binder")
    shutil.copy(ROOT / "README.md", tmp_path)
    done = subprocess.run([sys.executable, "binder/badge", address], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "wanted for example" in done.stderr
    assert (tmp_path / "README.md").read_text() == (ROOT / "README.md").read_text()
