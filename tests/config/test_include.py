from pathlib import Path

import pytest

from recsys.config import HashTable, MlpModel, load_config
from recsys.config.lr_schedules import CosineLr, PlateauLr
from recsys.errors import ConfigError


def write(**files: str) -> None:
    """Write NAME.yaml files; a double underscore stands for a slash."""
    for name, text in files.items():
        path = Path(name.replace("__", "/") + ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def problems(path: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_config(Path(path))
    return str(error.value).splitlines()[1:]


SHOP = """\
label: clicked
group: user
features:
  user: {type: id}
  price: {type: bucket, quantiles: 8}
  city: {type: id, vocabulary: [NO, SE]}
tables:
  all: {features: [user], scheme: hash, rows: 10}
"""


def test_a_file_is_laid_over_the_one_it_includes(folder: Path) -> None:
    write(
        feature_configs__shop=SHOP,
        pipelines__a__run="""\
include: ../../feature_configs/shop.yaml
group: null
features:
  item: {type: id}
  price: {quantiles: 32}
  city: {vocabulary: [DK]}
tables: {all: {features: [item]}}
""",
    )
    config = load_config(Path("pipelines/a/run.yaml"))
    assert config.label == "clicked"
    assert config.group is None
    assert list(config.features) == ["user", "price", "city", "item"]
    assert config.features["price"].model_dump()["quantiles"] == 32
    assert config.features["city"].model_dump()["vocabulary"] == ("DK",)
    assert config.tables == {"all": HashTable(features=("item",), scheme="hash", rows=10)}


def test_a_problem_is_reported_in_the_file_that_states_it(folder: Path) -> None:
    write(
        feature_configs__shop="label: clicked\nfeatures:\n  user: {type: id, min_count: 0}\n  price: {type: bucket}\n",
        pipelines__a__run="include: ../../feature_configs/shop.yaml\nfeatures:\n\n  price: {quantiles: 1}\nlable: x\n",
    )
    assert problems("pipelines/a/run.yaml") == [
        "feature_configs/shop.yaml:3: features.user.min_count: must be at least 1, got 0",
        "pipelines/a/run.yaml:4: features.price.quantiles: must be at least 2, got 1",
        "pipelines/a/run.yaml:5: lable: unknown key; did you mean 'label'?",
    ]


def test_of_several_includes_the_later_goes_over_the_earlier(folder: Path) -> None:
    write(a="label: a\ngroup: a\nfeatures: {x: {type: id}}", b="group: b\nweight: b", c="include: [a.yaml, b.yaml]\n")
    config = load_config(Path("c.yaml"))
    assert (config.label, config.group, config.weight) == ("a", "b", "b")


def test_another_type_tower_or_scheme_replaces_the_included_section(folder: Path) -> None:
    write(
        a=SHOP + "model: {tower: autoint, heads: 4}\n",
        b="include: a.yaml\nmodel: {tower: mlp}\nfeatures: {price: {type: number}}\n",
    )
    config = load_config(Path("b.yaml"))
    assert config.model == MlpModel()
    assert config.features["price"].type == "number"


def test_another_schedule_of_the_rates_replaces_the_included_one_and_another_optimizer_does_not(folder: Path) -> None:
    write(
        a=SHOP + "train: {lr_schedule: {name: plateau, factor: 0.5}, sparse_optimizer: {name: adagrad, lr: 0.2}}\n",
        b="include: a.yaml\ntrain: {lr_schedule: {name: cosine}, sparse_optimizer: {name: sgd}}\n",
        c="include: a.yaml\ntrain: {lr_schedule: {factor: 0.25}}\n",
        d="include: a.yaml\nfeatures: {lr_schedule: {type: bucket, quantiles: 4}}\n",
        e="include: d.yaml\nfeatures: {lr_schedule: {type: number}}\n",
    )
    train = load_config(Path("b.yaml")).train
    assert train.lr_schedule == CosineLr()
    assert (train.sparse_optimizer.name, train.sparse_optimizer.lr) == ("sgd", 0.2)
    assert load_config(Path("c.yaml")).train.lr_schedule == PlateauLr(factor=0.25)
    assert load_config(Path("e.yaml")).features["lr_schedule"].type == "number"


def test_includes_that_cannot_be_read_are_located(folder: Path) -> None:
    write(
        a="include: [no.yaml, b.yaml, ., empty.yaml]\nlabel: x\n",
        b="label: [\n",
        empty="",
    )
    assert problems("a.yaml") == [
        "a.yaml:1: include: .: is a folder, not a file",
        "a.yaml:1: include: empty.yaml: is empty",
        "a.yaml:1: include: no.yaml: no such file",
        "b.yaml:2: is not YAML: while parsing a flow node from line 2: expected the node content, "
        "but found '<stream end>'",
    ]


def test_an_include_that_comes_back_is_located(folder: Path) -> None:
    write(a="label: x\ninclude: b.yaml\n", b="group: y\n\ninclude: a.yaml\n")
    assert problems("a.yaml") == ["b.yaml:3: include: a.yaml includes itself"]


def test_an_include_that_is_no_path_is_located(folder: Path) -> None:
    write(a=SHOP + "include: {path: b}\n")
    assert problems("a.yaml") == ["a.yaml:9: include: must be a path or a list of paths"]


def test_one_file_may_be_included_twice(folder: Path) -> None:
    write(shop=SHOP, a="include: shop.yaml\n", b="include: shop.yaml\nweight: w\n", run="include: [a.yaml, b.yaml]\n")
    assert load_config(Path("run.yaml")).weight == "w"


def test_a_diamond_of_includes_reads_each_file_once(folder: Path) -> None:
    write(f20=SHOP)
    for level in range(20):
        write(**{f"f{level}": f"include: [f{level + 1}.yaml, f{level + 1}.yaml]\n"})
    assert load_config(Path("f0.yaml")).group == "user"


def test_a_problem_below_a_diamond_is_reported_once(folder: Path) -> None:
    write(f20=SHOP + "groop: x\n")
    for level in range(20):
        write(**{f"f{level}": f"include: [f{level + 1}.yaml, ./f{level + 1}.yaml]\n"})
    assert problems("f0.yaml") == ["f20.yaml:9: groop: unknown key; did you mean 'group'?"]


def test_a_missing_file_is_reported_wherever_it_is_included(folder: Path) -> None:
    write(a="include: [b.yaml, no.yaml]\n", b="include: no.yaml\n")
    assert problems("a.yaml") == [
        "a.yaml:1: include: no.yaml: no such file",
        "b.yaml:1: include: no.yaml: no such file",
    ]


def test_a_chain_of_includes_has_an_end(folder: Path) -> None:
    for level in range(1000):
        write(**{f"f{level}": f"include: f{level + 1}.yaml\n"})
    assert problems("f0.yaml") == ["f50.yaml:1: include: files include one another more than 50 deep"]


def test_files_that_together_are_too_long_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.config.include.MAX_VALUES", 100)
    write(shop=SHOP, a=f"include: [{'shop.yaml, ' * 50}]\n")
    assert problems("a.yaml") == ["a.yaml:1: include: the files have more than 100 keys and values together"]


def test_an_include_that_no_file_can_have_is_located(folder: Path) -> None:
    write(a='include: ["a\\0b", /dev/zero, !!int x]\n')
    assert problems("a.yaml") == [
        "a.yaml:1: 'x' cannot be read as an integer; text needs quotes",
        "a.yaml:1: include: /dev/zero: is no regular file",
        "a.yaml:1: include: must be a path or a list of paths",
    ]
