"""What holds the house in order besides sizes and floors: names that say something, nothing that nobody uses, no dead end in an error."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "hftlab"
FILES = sorted(PACKAGE.rglob("*.py"))
TEXTS = {path: path.read_text(encoding="utf-8") for path in FILES}

VAGUE = re.compile(r"(^|_)(utils?|misc|helpers?|stuff|things|tools|lib|manager|base2|new|old|tmp)(_|$)")

# What only tests and people use, and why it stays.
KEPT = {
    "lob_new": "an order book by itself: tests and the benchmark drive the matching engine with it",
    "slot_of": "the law that a handle finds its order asks it",
    "REPORTS": "the table of order states is tested against every report",
    "STP_NAMES": "the words of the codes beside it",
    "fetch_instrument": "an instrument that is not bundled, from the venue's own rules",
    "hash_texts": "how a client's test compares its book with the venue's",
    "open_exchange": "an exchange by itself, without sockets",
    "OWN_READERS": "the tests of endpoints go through them",
    "make_sample": "how the sample that ships was made",
    "write_sample": "the same, with its file",
    "write_hftbacktest": "the way out to hftbacktest's format",
    "metric_names": "the page of metrics and the shipped Grafana board are held against it",
    "random_schedule": "seeded drills for whoever tests a client",
}
DEFINED = re.compile(r"^(?:async )?(?:def|class) (\w+)|^([A-Z][A-Z0-9_]*)(?::[^=\n]+)? = ", re.MULTILINE)
# numba finds these by their decorator, IPython and argparse by their place.
FOUND_OTHERWISE = re.compile(r"^@\S*(?:overload|intrinsic|register|fixture|verb|get|post|route)", re.MULTILINE)


def words(paths):
    """How often each word stands in some texts."""
    count = Counter()
    for path in paths:
        count.update(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    return count


def test_no_module_has_a_name_that_says_nothing():
    assert not [path.relative_to(ROOT).as_posix() for path in FILES if VAGUE.search(path.stem)]


def test_nothing_is_defined_that_nobody_uses():
    others = [
        p
        for folder in ("docs", "notebooks", "benchmarks", "examples")
        for p in (ROOT / folder).rglob("*")
        if p.suffix in {".md", ".ipynb", ".py"}
    ]
    said = words([*FILES, *others, ROOT / "README.md", ROOT / "pyproject.toml"])
    lonely = {}
    for path, text in TEXTS.items():
        if path.is_relative_to(PACKAGE / "analytics"):
            continue  # formulas of the literature stand there for themselves, held by published numbers
        for found in DEFINED.finditer(text):
            name = found[1] or found[2]
            decorated = FOUND_OTHERWISE.search(text[max(0, found.start() - 200) : found.start()].rpartition("\n\n")[2])
            if said[name] < 2 and name not in KEPT and not decorated and not name.startswith("__"):
                lonely[name] = f"{path.relative_to(ROOT)}:{text[: found.start()].count(chr(10)) + 1}"
    assert not lonely, f"{lonely}: used nowhere but in tests; delete it, or say in KEPT why it stays"


def test_what_is_kept_is_still_there():
    there = {found[1] or found[2] for text in TEXTS.values() for found in DEFINED.finditer(text)}
    assert there >= KEPT.keys()


def test_errors_of_our_own_are_never_raised_without_words():
    # `raise InputError` or `raise InputError()` leaves a person with nothing.
    wordless = re.compile(rf"^\s*raise (?:{'|'.join(OURS)})(?:\(\))?(?: from \w+)?$", re.MULTILINE)
    assert wordless.search("    raise InputError from None")
    assert not {path.name: found[0] for path, text in TEXTS.items() if (found := wordless.search(text))}


OURS = frozenset(re.findall(r"^class (\w+)\(", TEXTS[PACKAGE / "errors.py"], re.MULTILINE))


def test_the_readers_of_this_file_see_what_they_look_for():
    assert VAGUE.search("order_utils")
    assert not VAGUE.search("news_feed")
    assert [
        found[1] or found[2]
        for found in DEFINED.finditer("def f(x):\n    def g(): ...\nclass C: ...\nLIMIT: int = 3\nasync def h(): ...\n")
    ] == ["f", "C", "LIMIT", "h"]
    assert {"InputError", "KernelFault"} <= OURS
