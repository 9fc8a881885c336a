"""The tutorials as text: linked, short, without machinery, an exercise at the end, and no outputs but those that are compared."""

import ast
import configparser
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from notebook_outputs import CHECKED, keep_checked

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
PATHS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
MAP, OWN = FOLDER / "00_map.ipynb", FOLDER / "12_your_own_quoter.ipynb"

LINES_MAX = 20  # of a code cell, blank ones not counted: what a reader takes in at once
FUNCTION_LINES_MAX = 8  # a longer one is machinery, and belongs in the package
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
NAMES = [path.name for path in PATHS]
TUTORIALS = [path for path in PATHS if path != MAP]


def cells(path: Path, kind: str) -> list[tuple[str, dict]]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [("".join(cell["source"]), cell) for cell in notebook["cells"] if cell["cell_type"] == kind]


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def every(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


def test_the_numbers_have_no_gap():
    assert [name[:2] for name in NAMES] == [f"{n:02d}" for n in range(len(NAMES))]


@every(TUTORIALS)
def test_the_map_names_every_notebook(path):
    assert path.name in LINK.findall("\n".join(text for text, _ in cells(MAP, "markdown")))


@every(PATHS)
def test_every_link_and_picture_leads_somewhere(path):
    found = [link for text, _ in cells(path, "markdown") for link in LINK.findall(text)]
    outside = [link for link in found if "://" in link]
    missing = [link for link in found if link not in outside and not (FOLDER / unquote(link)).exists()]
    assert not missing
    # A file named in the text without a link, such as `docs/live.md`, must be there too.
    named = {name for text, _ in cells(path, "markdown") for name in re.findall(r"`(docs/[\w/.-]+\.md)`", text)}
    assert not [name for name in named if not (FOLDER.parent / name).is_file()]


@every(PATHS)
def test_a_notebook_begins_with_its_title_its_neighbours_and_the_map(path):
    lines = cells(path, "markdown")[0][0].splitlines()
    assert lines[0].startswith("# ")
    place = re.fullmatch(r"before: (.+) · next: (.+) · map: (.+?)( · more: .+)?", lines[2])
    assert place, f"the third line was {lines[2]!r}; wanted 'before: … · next: … · map: …'"
    before, after, where = (LINK.findall(part) for part in place.groups()[:3])
    assert before
    assert after
    assert all((FOLDER / link).is_file() and link != path.name for link in before + after)
    assert where == ([] if path == MAP else [MAP.name])


def test_reading_on_from_the_map_passes_every_notebook():
    seen, path = [], MAP
    while path.name not in seen:
        seen.append(path.name)
        after = re.search(r"next: (.+?) · map", cells(path, "markdown")[0][0])
        path = FOLDER / LINK.findall(after[1])[0]
    assert seen == NAMES


@every(TUTORIALS)
def test_it_ends_with_an_exercise_whose_check_answers_in_words(path):
    heads = [text for text, _ in cells(path, "markdown") if text.startswith("## Exercise")]
    checks = [(text, cell) for text, cell in cells(path, "code") if "exercise" in tags(cell)]
    assert len(heads) == len(checks) == 1
    text = checks[0][0]
    assert text == cells(path, "code")[-1][0]
    assert "solved" in text
    assert "not yet" in text
    assert "# change this" in text or "# your lines here" in text
    # The check computes: it must hang on a comparison of what was computed, or on an error.
    assert any(isinstance(node, ast.Compare | ast.BoolOp | ast.Try) for node in ast.walk(ast.parse(text)))


@every(TUTORIALS)
def test_it_asserts_what_it_claims(path):
    claims = [node for text, _ in cells(path, "code") for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Assert)]
    assert len(claims) >= 4


@every(PATHS)
def test_a_cell_is_short_and_holds_no_machinery(path):
    for text, _ in cells(path, "code"):
        tree = ast.parse(text)
        assert sum(bool(line.strip()) for line in text.splitlines()) <= LINES_MAX, text
        for node in ast.walk(tree):
            assert not isinstance(node, ast.ClassDef | ast.AsyncFunctionDef | ast.Await | ast.Global | ast.While), text
            if isinstance(node, ast.FunctionDef) and not (path == OWN and node.name == "decide"):
                assert node.end_lineno - node.lineno + 1 <= FUNCTION_LINES_MAX, node.name
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [node.module] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
                assert not {"threading", "asyncio", "subprocess", "socket", "multiprocessing"} & {name.split(".")[0] for name in names}


@every([*PATHS, *sorted((FOLDER / "dashboards").glob("*.ipynb"))])
def test_only_cells_that_are_compared_hold_outputs_and_only_text(path):
    for text, cell in cells(path, "code"):
        outputs = cell["outputs"]
        assert cell["execution_count"] == (1 if CHECKED in tags(cell) else None)
        if CHECKED not in tags(cell):
            assert not outputs, text
            continue
        assert outputs, f"nothing is stored to compare with: python tests/notebook_outputs.py {path.name}\n{text}"
        assert "nbval-ignore-output" not in tags(cell)
        for output in outputs:
            kinds = set(output.get("data", {"text/plain": ""}))
            assert output["output_type"] in {"stream", "execute_result"}, text
            assert kinds == {"text/plain"}, text


def test_figures_are_compared_where_they_are_the_point():
    checked = {path.name[:2] for path in PATHS if any(CHECKED in tags(cell) for _, cell in cells(path, "code"))}
    assert checked >= {"02", "03", "06", "07", "08", "09", "10", "11", "12"}


def test_what_is_struck_out_before_comparing_is_no_figure():
    config = configparser.RawConfigParser()
    config.read(FOLDER / "sanitize.cfg", encoding="utf-8")
    assert config.sections()

    def struck(text: str) -> str:
        for section in config.sections():
            text = re.sub(config[section]["regex"], config[section]["replace"], text)
        return text

    figures = "74 fills, P&L -0.076 USDT, largest position 0.014 BTC; 90% in 3 of 40 markets"
    assert struck(figures) == figures
    assert struck("133,206 rows in 1,204 ms") == struck("133,206 rows in 97 ms") != struck("133,207 rows in 97 ms")
    assert struck("<f at 0x7f00aa10>, pid 12, 127.0.0.1:8866") == "<f at ADDRESS>, pid PID, 127.0.0.1:PORT"


def test_the_keeper_of_outputs_keeps_those_of_checked_cells_alone():
    def code(tag, outputs):
        return {"cell_type": "code", "metadata": {"tags": [tag]}, "execution_count": 3, "outputs": outputs}

    text = [{"output_type": "stream", "name": "stdout", "text": "one\ntwo\n"}]
    stored = {"cells": [code(CHECKED, []), code("exercise", text)]}
    kept = keep_checked(stored, {"cells": [code(CHECKED, text), code("exercise", text)]})["cells"]
    assert kept[0]["outputs"][0]["text"] == ["one\n", "two\n"]
    assert kept[1]["outputs"] == []
    assert [cell["execution_count"] for cell in kept] == [1, None]
