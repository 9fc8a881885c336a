"""Every notebook, run from top to bottom in JupyterLab in a real browser: nothing complains, every widget and every figure is there."""

import nbformat
import pytest

from benchmarks.drills.browse import notebooks, own_lab, see_notebook

pytestmark = [
    pytest.mark.browser,
    pytest.mark.browse,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

GOOD = """
import ipywidgets as w
import bqplot as bq
from IPython.display import HTML, Javascript, display

scales = {"x": bq.LinearScale(), "y": bq.LinearScale()}
display(w.IntSlider(), bq.Figure(marks=[bq.Lines(x=[1.0, 2.0], y=[1.0, 4.0], scales=scales)]))
HTML("<svg width=90 height=90><path d='M5,5L80,80' stroke='currentColor'/></svg><span>plain</span>")
"""

# What is wrong with a cell, and what must be said of it.
BAD = {
    "display(Javascript('console.error(\"a script complains\")'))": "a script complains",
    "display(Javascript('fetch(\"/nothing/here\")'))": "404",
    "display(Javascript('setTimeout(() => { throw new Error(\"thrown later\"); })'))": "thrown later",
    "display({'application/vnd.jupyter.widget-view+json': {'model_id': 'gone', 'version_major': 2, 'version_minor': 0}}, raw=True)": (
        "Error displaying widget"
    ),
    "HTML('<canvas width=200 height=80></canvas>')": "blank canvas",
    "HTML('<svg width=90 height=90><text y=20>a title</text><line x2=80 stroke=\"black\"/></svg>')": "svg without a mark",
    'HTML(\'<svg width=0 height=90><path d="M5,5L80,80" stroke="black"/></svg>\')': "svg of no size",
    "bq.Figure(marks=[bq.Lines(x=[], y=[], scales=scales)])": "bqplot figure without a mark",
    'HTML(\'<svg width=90 height=90><rect width=9 height=9 fill="red"/><text y=20 fill="#111">cannot be read</text></svg>\')': (
        'Dark: "cannot be read" stands out'
    ),
    "1 / 0": "ZeroDivisionError",
}


@pytest.fixture(scope="module")
def context(browser):
    """Give a browser whose pages share what they have loaded."""
    return browser.new_context()


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebooks")
    bad = nbformat.v4.new_notebook()
    bad.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    bad.cells = [nbformat.v4.new_code_cell(code) for code in (GOOD, *BAD)]
    (folder / "notebooks").mkdir()
    nbformat.write(bad, folder / "notebooks" / "bad.ipynb")
    with own_lab(folder) as address:
        yield address, folder / "notebooks"


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_all_it_has(context, url, path):
    page = see_notebook(context, url[0], path)
    assert page.said == []
    assert page.faults == []


def test_each_thing_that_can_be_wrong_is_said(context, url):
    address, folder = url
    page = see_notebook(context, address, folder / "bad.ipynb", settle_s=3.0)
    complaints = [*page.said, *page.faults]
    assert [said for said in BAD.values() if not any(said in one for one in complaints)] == []
    assert [one for one in complaints if "cell 0:" in one or '"plain"' in one] == []  # what is as it should be is left alone
