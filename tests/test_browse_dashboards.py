"""Every dashboard as `hftlab serve` publishes it, each of its sections, light and dark: nothing complains, every figure is there."""

import pytest

from benchmarks.drills.browse import DASHBOARDS, notebooks, published, see_dashboard, shown_run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.browse,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def folder(browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dashboards")
    with shown_run(folder):
        yield folder


@pytest.fixture(scope="module", params=["light", "dark"])
def publisher(folder, request):
    with published(folder, request.param) as running:
        yield running


@pytest.mark.parametrize("path", notebooks(DASHBOARDS), ids=lambda path: path.stem)
def test_a_dashboard_shows_all_it_has(browser, publisher, path):
    page = see_dashboard(browser, publisher, path)
    assert page.said == []
    assert page.faults == []
