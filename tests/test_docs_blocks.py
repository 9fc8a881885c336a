"""The python blocks of docs/ run as they stand there, or say why not."""

import pytest

from doc_blocks import DOCS, blocks, run_page

ELSEWHERE = {
    "live.md",  # test_live_doc.py: beside its code it holds its tables
}
PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts and "guides" not in page.parts)
WITH_CODE = [page for page in PAGES if any(blocks(page.read_text(encoding="utf-8"))) and page.name not in ELSEWHERE]


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_the_blocks_of_a_page_run_as_they_stand(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = [block for block in blocks(page.read_text(encoding="utf-8")) if not block.hidden]
    assert run_page(page) == sum(not block.not_run for block in seen)


def test_a_block_that_fails_is_named_by_page_and_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text("Words.\n\n<!-- given: limits -->\n```python\nlimits\nraise ValueError(1)\n```\n")
    with pytest.raises(ValueError, match="1") as raised:
        run_page(page)
    assert (raised.traceback[-1].path, raised.traceback[-1].lineno + 1) == (page, 6)


def test_the_three_comments_say_what_is_given_hidden_and_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- run: a = 1\nb = a + 1 -->\n```python\nassert b == 2\n```\n"
        "<!-- not run: needs an account -->\n```python\nraise SystemExit\n```\n"
        "```sh\nexit 1\n```\n<!-- given: btc, quoter -->\n```python\nassert btc and quoter and hl\n```\n"
    )
    assert run_page(page) == 2
    assert [(b.line, b.hidden, b.not_run) for b in blocks(page.read_text())] == [
        (1, True, ""),
        (4, False, ""),
        (8, False, "needs an account"),
        (15, False, ""),
    ]
