from pathlib import Path

import pytest

from recsys.config.towers import TOWERS, CustomModel
from recsys.config.towers.fm import FmModel
from recsys.config.towers.lr import LrModel
from recsys.errors import ConfigError
from recsys.towers import TowerInputs, build_tower, tower_class
from recsys.towers.lr import Lr

INPUTS = TowerInputs(dims=[4, 4], num_numbers=0, behaviours=[], num_tasks=1)

OWN_TOWER = """
from torch import nn
from recsys.towers import Tower

class Doubled(Tower):
    def __init__(self, inputs, config):
        super().__init__()
        self.depth = config.parameters()["depth"]
        self.linear = nn.Linear(sum(inputs.dims), inputs.num_tasks)

    def forward(self, fields, numbers, behaviours):
        return 2 * self.linear(fields)

class NoTower:
    pass

class Former(Doubled):
    uses_behaviours = True
"""


@pytest.fixture
def own_tower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_tower_for_a_test.py").write_text(OWN_TOWER, encoding="utf-8")
    (tmp_path / "own_tower_with_a_bad_import.py").write_text("import no_such_package_at_all", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


def test_a_tower_is_built_by_its_name() -> None:
    assert isinstance(build_tower(INPUTS, LrModel(tower="lr")), Lr)


@pytest.mark.parametrize("name", TOWERS)
def test_a_tower_and_its_section_name_each_other(name: str) -> None:
    section = TOWERS[name]
    assert tower_class(section.model_validate({"tower": name})).section is section


@pytest.mark.usefixtures("own_tower")
def test_a_tower_of_the_users_own_is_built_with_its_keys() -> None:
    model = CustomModel.model_validate({"tower": "own_tower_for_a_test:Doubled", "depth": 3})
    tower = build_tower(INPUTS, model)
    assert type(tower).__name__ == "Doubled"
    assert tower.depth == 3


@pytest.mark.usefixtures("own_tower")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:Tower", r"cannot find the module no_such_module, got 'no_such_module:Tower'; .* PYTHONPATH"),
        ("recsys.no_such:Tower", r"cannot find the module recsys\.no_such, got"),
        ("own_tower_for_a_test:Tripled", r"module own_tower_for_a_test has no 'Tripled'"),
        (
            "own_tower_for_a_test:NoTower",
            r"must be a subclass of recsys\.towers\.base\.Tower, got 'own_tower_for",
        ),
        (
            "own_tower_for_a_test:Former",
            r"^model.tower: Former states uses_behaviours, which only its section may state$",
        ),
        ("own_tower_for_a_test:nn", r"must be a subclass of recsys\.towers\.base\.Tower"),
    ],
)
def test_a_tower_that_cannot_be_found_is_an_error_that_says_why(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tower_class(CustomModel(tower=name))


@pytest.mark.usefixtures("own_tower")
def test_a_broken_import_inside_the_users_module_is_not_disguised() -> None:
    with pytest.raises(ConfigError, match=r"bad_import\.py:1: ModuleNotFoundError: .*no_such_package"):
        tower_class(CustomModel(tower="own_tower_with_a_bad_import:Tower"))


def test_fields_must_be_of_one_width_where_the_tower_multiplies_them() -> None:
    with pytest.raises(ConfigError, match=r"fm needs fields of one width, got \[4, 8\]"):
        build_tower(INPUTS._replace(dims=[8, 4, 8]), FmModel(tower="fm"))
