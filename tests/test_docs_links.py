"""Every link of README, docs and notebooks leads somewhere."""

import doc_links
from doc_links import ROOT, Link, anchors, checked, pages

PAGES = pages()


def test_every_link_leads_somewhere():
    links = [link for page in PAGES for link in checked(page)]
    wrong = [f"{link.page.relative_to(ROOT)}: {link.to}: {link.wrong}" for link in links if link.wrong]
    assert not wrong
    assert len(links) > 60
    print(f"{len(links)} links in {len(PAGES)} pages")


def test_what_is_wrong_with_a_link_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(doc_links, "ROOT", tmp_path)
    other, page = tmp_path / "other.md", tmp_path / "page.md"
    other.write_text("# A `code` heading, twice\n# A code heading, twice\n")
    page.write_text(
        "[a](other.md) [b](other.md#a-code-heading-twice-1) [c](nowhere.md) [d](other.md#a-heading)\n"
        "[e](/other.md) [f](https://) [g](https://example.org/x) [h](ftp://example.org) ![i](other.md) `[j](k)`\n"
        '```\n[l](m)\n```\n<img src="none.png">\n[n](../page.md)\n'
    )
    assert anchors(other) == {"a-code-heading-twice", "a-code-heading-twice-1"}
    assert [(link.to, link.wrong[:12]) for link in checked(page) if link.wrong] == [
        ("nowhere.md", "nothing ther"),
        ("other.md#a-heading", "no heading t"),
        ("/other.md", "not relative"),
        ("https://", "no host"),
        ("ftp://example.org", "scheme ftp"),
        ("../page.md", "nothing ther"),
        ("none.png", "nothing ther"),
    ]
    assert next(checked(page)) == Link(page, "other.md")
