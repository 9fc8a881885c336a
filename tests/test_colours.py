"""The colours of pictures: read on both pages, and told apart by those who see red and green as one."""

from itertools import combinations

import numpy as np
import pytest

from hftlab.svg import DATA, GAIN, LOSS, MARK, SERIES

PAGES = {"light": "#ffffff", "dark": "#111111"}  # JupyterLab's own two
CONTRAST_MIN = 3.0  # of a graphic to its page: WCAG 2.1, success criterion 1.4.11
APART_MIN = 15.0  # CIE 1976 colour difference; 2.3 is just noticed (Mahy et al. 1994), side by side and large
# Machado, Oliveira & Fernandes 2009, table 1, severity 1.0: linear RGB as it looks to others.
EYES = {
    "most": np.eye(3),
    "protan": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deutan": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])  # IEC 61966-2-1
COLOURS = [colour for colour in SERIES if colour != "currentColor"]


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def apart(one: str, other: str, eyes: np.ndarray) -> float:
    labs = []
    for colour in (one, other):
        ratio = TO_XYZ @ np.clip(eyes @ linear(colour), 0, 1) / np.array([0.9505, 1.0, 1.089])
        f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
        labs.append(np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])]))
    return float(np.linalg.norm(labs[0] - labs[1]))


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("colour", [*COLOURS, DATA, MARK])
def test_every_colour_can_be_read_on_either_page(colour, page):
    assert contrast(colour, PAGES[page]) >= CONTRAST_MIN


@pytest.mark.parametrize("eyes", EYES)
def test_colours_that_mean_different_things_look_different_to_everyone(eyes):
    for one, other in [*combinations(COLOURS, 2), (DATA, MARK), (GAIN, LOSS)]:
        assert apart(one, other, EYES[eyes]) >= APART_MIN, (one, other)


def test_the_measure_knows_the_pair_that_must_not_be_used():
    # Red and green of one lightness: far apart for most, near for a deutan. Black on white is 21 by definition.
    assert apart("#b04020", "#5f7a1a", EYES["most"]) > 60
    assert apart("#b04020", "#5f7a1a", EYES["deutan"]) < 5
    assert abs(contrast("#000000", "#ffffff") - 21) < 0.01
