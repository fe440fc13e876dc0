"""Registries: what can be registered, what is found, and what a wrong name is told."""

from pathlib import Path

import pytest

from recsys.errors import ConfigError
from recsys.registry import BrokenModuleError, Registry, did_you_mean, load_class, load_object


def _colours() -> Registry[int]:
    colours: Registry[int] = Registry("colour")
    colours.register("red", 1)
    colours.register("green", 2)
    return colours


def test_entries_are_kept_in_the_order_of_registration() -> None:
    colours = _colours()
    assert list(colours) == ["red", "green"]
    assert colours.values() == [1, 2]
    assert colours.items() == [("red", 1), ("green", 2)]
    assert len(colours) == 2
    assert colours["green"] == 2
    assert "green" in colours
    assert "blue" not in colours


def test_an_unknown_name_is_told_the_nearest_one_and_all_others() -> None:
    with pytest.raises(ConfigError) as error:
        _colours().find("gren", where="wall.colour")
    assert str(error.value) == "wall.colour: no colour 'gren'; did you mean 'green'?; registered are red, green"
    with pytest.raises(ConfigError, match=r"^no colour 'blue'; registered are red, green$"):
        _colours()["blue"]


@pytest.mark.parametrize("name", ["", "Red", "my red", "package.module:Red", "1st", "dark-red"])
def test_a_name_that_a_configuration_could_not_say_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="the name of a colour must be lower case letters"):
        _colours().register(name, 3)


def test_a_name_belongs_to_one_entry() -> None:
    colours = _colours()
    colours.register("red", 1)  # the same again
    with pytest.raises(ConfigError, match="colour 'red' is registered already, as 1"):
        colours.register("red", 3)


def test_a_class_that_is_defined_again_takes_the_place_of_its_former_self() -> None:
    classes: Registry[type] = Registry("class")
    first, second = (type("Mine", (), {"__module__": "notebook"}) for _ in range(2))
    classes.register("mine", first)
    classes.register("mine", second)
    assert classes["mine"] is second
    with pytest.raises(ConfigError, match="registered already"):
        classes.register("mine", type("Other", (), {"__module__": "notebook"}))


def test_an_object_is_loaded_by_its_import_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_colours.py").write_text("class Red(dict): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = load_object("own_colours:Red", where="wall.colour")
    assert found.__name__ == "Red"
    assert load_class("own_colours:Red", dict, where="wall.colour") is found


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_colours:Red", "wall.colour: cannot find the module no_colours, got 'no_colours:Red'; its folder must be"),
        ("math:Red", "wall.colour: module math has no 'Red', got 'math:Red'"),
        ("math:pi", "wall.colour: must be a subclass of builtins.dict, got 'math:pi'"),
        ("builtins:list", "wall.colour: must be a subclass of builtins.dict, got 'builtins:list'"),
    ],
)
def test_what_cannot_be_loaded_names_the_key_and_the_path(path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        load_class(path, dict, where="wall.colour")


def test_a_module_that_misses_a_package_of_its_own_says_so_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_colours_2.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BrokenModuleError, match=r"own_colours_2\.py:1: ModuleNotFoundError: .*no_such_package"):
        load_object("own_colours_2:Red", where="wall.colour")


def test_no_near_name_gives_no_hint() -> None:
    assert did_you_mean("blue", ["red", "green"]) == ""
