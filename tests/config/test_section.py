"""Classes of the user's own that a configuration names, when something is wrong with them."""

import re
from pathlib import Path

import pytest

from tests.config.loading import Problems

HEAD = "label: y\nfeatures: {a: {type: id}}\n"
PLACES = {
    "scheme": "label: y\nfeatures: {a: {type: id}}\ntables: {t: {features: [a], scheme: '%s'}}\n",
    "tower": HEAD + "model: {tower: '%s'}\n",
    "loss": HEAD + "train: {loss: '%s'}\n",
    "feature type": "label: y\nfeatures:\n  a: {type: '%s'}\n",
    "metric": HEAD + "train: {early_stopping: {metric: '%s'}}\n",
}
BROKEN = {
    "raises": ("x = 1\nraise RuntimeError('boom')\n", r"raises\.py:2: RuntimeError: boom"),
    "leaves": ("raise SystemExit(7)\n", r"leaves\.py:1: SystemExit: 7"),
    "needs": ("import no_such_package_at_all\n", r"needs\.py:1: ModuleNotFoundError: No module named 'no_such"),
    "misspelt": ("x = 1\n\ny = = 2\n", r"misspelt\.py:3: SyntaxError: "),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("kind", PLACES)
def test_a_module_that_cannot_be_run_is_a_problem_with_its_line(
    kind: str, broken: str, problems: Problems, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, message = BROKEN[broken]
    (tmp_path / f"{broken}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    _, found = problems(PLACES[kind] % f"{broken}:Own")
    assert found.lstrip().startswith("shop.yaml:3: ")
    assert f"cannot import '{broken}:Own'" in found
    assert re.search(message, found)


@pytest.mark.parametrize("kind", ["scheme", "tower", "loss"])
@pytest.mark.parametrize("section", ["5", "type('Other', (), {})"])
def test_a_section_that_is_none_is_a_problem(
    kind: str, section: str, problems: Problems, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"own_{kind}_{len(section)}"
    (tmp_path / f"{name}.py").write_text(f"class Own:\n    section = {section}\n")
    monkeypatch.syspath_prepend(tmp_path)
    _, found = problems(PLACES[kind] % f"{name}:Own")
    assert f"'{name}:Own' is no {kind}" in found


CLASSES = {
    "an object": ("Own = 5\n", "must be a (subclass of recsys|recsys.Metric)"),
    "a function": ("def Own(): ...\n", "must be a (subclass of recsys|recsys.Metric)"),
    "another class": ("class Own: ...\n", "must be a (subclass of recsys|recsys.Metric)"),
    "an abstract class": ("from %s as Own\n", "which lacks |must be a recsys.Metric|must have an attribute `section`"),
}
BASES = {
    "scheme": "recsys.embeddings import Scheme",
    "tower": "recsys.towers import Tower",
    "loss": "recsys.losses import Loss",
    "feature type": "recsys.features.types import FeatureHandler",
    "metric": "recsys import Metric",
}


@pytest.mark.parametrize("what", CLASSES)
@pytest.mark.parametrize("kind", PLACES)
def test_what_cannot_be_built_is_a_problem_with_its_line(
    kind: str, what: str, problems: Problems, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, message = CLASSES[what]
    name = f"unfit_{kind}_{what}".replace(" ", "_")
    (tmp_path / f"{name}.py").write_text(code.replace("%s", BASES[kind]))
    monkeypatch.syspath_prepend(tmp_path)
    _, found = problems(PLACES[kind] % f"{name}:Own")
    assert found.lstrip().startswith("shop.yaml:3: ")
    assert re.search(message, found)
