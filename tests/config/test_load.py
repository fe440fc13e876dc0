import subprocess
import sys
from pathlib import Path

import pytest

from recsys.config import (
    AutoIntModel,
    Config,
    CustomModel,
    CustomTable,
    DinModel,
    FractionSplit,
    IdFeature,
    MlpModel,
    TimeSplit,
    load_config,
)
from recsys.errors import ConfigError
from tests.config.loading import Load, Problems

SHOP = """\
label: clicked
features:
  user: {type: id}
  item: {type: id, min_count: 2}
"""


def test_ten_mistakes_are_ten_located_problems(problems: Problems) -> None:
    text = """\
label: clicked
groop: user
features:
  user: {type: id, min_count: 0}
  item: {type: idd}
  price: {type: bucket, quantiles: "many"}
  clicks: {type: sequence, of: usr}
  clicked: {type: number}
tables:
  users: {features: [user, itm], dim: 10}
  rest: {features: [price], scheme: hash}
model: {tower: autoint, attention_dim: 63}
train:
  epochs: 1.5
"""
    assert problems(text) == [
        "10 problems in the configuration",
        "shop.yaml:2: groop: unknown key; did you mean 'group'?",
        "shop.yaml:4: features.user.min_count: must be at least 1, got 0",
        "shop.yaml:5: features.item.type: must be one of id, ids, sequence, number, bucket, cross, datetime, "
        "package.module:Class, got 'idd'; did you mean 'id'?",
        "shop.yaml:6: features.price.quantiles: expected an integer, got 'many'",
        "shop.yaml:7: features.clicks.of: must name an id feature, got 'usr'; did you mean 'user'?",
        "shop.yaml:8: features.clicked: reads the label column 'clicked'",
        "shop.yaml:10: tables.users.dim: must be a multiple of 4 (FBGEMM), got 10; nearest: 8, 12",
        "shop.yaml:11: tables.rest: needs either rows or budget (such as 10MB, or 0.1 of the full table), got neither",
        "shop.yaml:12: model.attention_dim: must be a multiple of heads (2), got 63; nearest: 62, 64",
        "shop.yaml:14: train.epochs: expected an integer, got 1.5",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("label: 1", "label: expected text or a mapping, got 1"),
        ("label: {}", "label: must not be empty"),
        ("label: {click: 3}", "label.click: expected text, got 3; write it in quotes: '3'"),
        ("group: true", "group: expected text, got true; write it in quotes: 'true'"),
        ("features: [user]", r"features: expected a mapping, got \['user'\]"),
        ("features: {}", "features: must not be empty"),
        ("features: {user: id}", "features.user: expected a mapping such as {type: id}, got 'id'"),
        ("features: {user: }", "features.user: expected a mapping such as {type: id}, got null"),
        ("features: {user: {}}", "features.user: type is required: one of id, ids, sequence, number"),
        (
            "features: {u: {type: id, quantiles: 3}}",
            "features.u.quantiles: unknown key for type id; it belongs to type",
        ),
        ("features: {u: {type: id, vocabulry: open}}", "unknown key for type id; did you mean 'vocabulary'?"),
        ("features: {u: {type: id, vocabulary: opn}}", "must be one of learnt, open, got 'opn'; did you mean 'open'?"),
        ("features: {u: {type: id, vocabulary: [1, true]}}", r"vocabulary\[1\]: expected an integer or text, got true"),
        ("features: {u: {type: id, vocabulary: []}}", "features.u.vocabulary: must not be empty"),
        ("features: {u: {type: id, min_count: true}}", "features.u.min_count: expected an integer, got true"),
        ("features: {u: {type: id, max_size: '3'}}", "features.u.max_size: expected an integer, got '3'"),
        ("features: {u: {type: ids, separator: ''}}", "features.u.separator: must not be empty"),
        ("features: {u: {type: cross, of: [a]}}", r"features.u.of: must have at least 2 entries, got \['a'\]"),
        ("features: {u: {type: bucket, boundaries: 3}}", "features.u.boundaries: expected a list, got 3"),
        ("features: {u: {type: bucket, boundaries: [1, x]}}", r"boundaries\[1\]: expected a number, got 'x'"),
        ("features: {u: {type: datetime, parts: [huor]}}", r"parts\[0\]: must be one of minute, .* mean 'hour'\?"),
        ("features: {'': {type: id}}", "features.'': the name of a feature must not be empty"),
        (
            "tables: {t: {features: [u], scheme: hsh}}",
            "tables.t.scheme: must be one of full, hash, .* mean .hash",
        ),
        (
            "tables: {t: {features: [u], scheme: 'my mod:C'}}",
            "must be a class, written package.module:Class, got 'my m",
        ),
        (
            "tables: {t: {features: [u], dim: 2}}",
            r"tables.t.dim: must be a multiple of 4 \(FBGEMM\), got 2; nearest: 4",
        ),
        ("tables: {t: {features: [u], dim: 2000}}", "tables.t.dim: must be at most 1024, got 2000"),
        ("tables: {t: {features: [u], dim: -6}}", "got -6; nearest: 4"),
        ("tables: {t: {features: [u], dim: 18}}", "got 18; nearest: 16, 20"),
        ("tables: {t: {features: u}}", "tables.t.features: expected a list, got 'u'"),
        (
            "tables: {t: {features: [u], rows: 5}}",
            "tables.t.rows: unknown key for scheme full; it belongs to scheme hash",
        ),
        ("model: din", "model: expected a mapping such as {tower: din}, got 'din'"),
        ("model: {tower: dni}", "model.tower: must be one of lr, fm, mlp, .* got 'dni'; did you mean 'din'?"),
        ("model: {tower: mlp, heads: 2}", "model.heads: unknown key for tower mlp; it belongs to tower autoint"),
        ("model: {dropout: 1}", "model.dropout: must be less than 1, got 1"),
        ("model: {mlp: [0]}", r"model.mlp\[0\]: must be at least 1, got 0"),
        ("data: {train: [a, 3]}", r"data.train\[1\]: expected text, got 3; write it in quotes: '3'"),
        ("data: {train: []}", "data.train: must not be empty"),
        ("data: {header: 'no'}", "data.header: expected true or false, got 'no'"),
        (
            "data: {separator: ''}",
            "data.separator: must be one character or several, without quotes and line ends, got ''",
        ),
        ("data: {split: {by: tmie}}", "data.split.by: must be one of fraction, time, got 'tmie'; did you mean 'time'?"),
        ("data: {split: {by: time}}", "data.split.column: is required"),
        ("data: {split: {valid: 0}}", "data.split.valid: must be greater than 0, got 0"),
        ("train: {precision: 16}", "train.precision: must be one of auto, 32, bf16-mixed, got 16"),
        ("train: {dense_optimizer: {lr: .inf}}", "train.dense_optimizer.lr: must be finite, got inf"),
        ("train: {dense_optimizer: {lr: fast}}", "train.dense_optimizer.lr: expected a number, got 'fast'"),
        ("train: {sparse_optimizer: {learn: 1}}", "train.sparse_optimizer.learn: unknown key$"),
        ("train: {early_stopping: {patiense: 1}}", "unknown key; did you mean 'patience'?"),
        ("train: 3", "train: expected a mapping, got 3"),
    ],
)
def test_a_value_that_does_not_fit_is_one_problem(line: str, message: str, problems: Problems) -> None:
    rest = [other for other in SHOP.split("\n", 1) if other.split(":")[0] != line.split(":")[0]]
    found = problems("\n".join([line, *rest]))
    assert found[0] == "1 problem in the configuration"
    with pytest.raises(ConfigError, match=message):
        raise ConfigError(found[1])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "shop.yaml: is empty"),
        ("# nothing\n", "shop.yaml: is empty"),
        ("- label\n", "shop.yaml:1: must be a mapping of keys to values"),
        (
            "label: [a,\nb: 2\n",
            "shop.yaml:3: is not YAML: while parsing a flow sequence from line 1: expected ',' or ']'",
        ),
        ("label: a\n\tgroup: b\n", "shop.yaml:2: is not YAML"),
        ("label: a\n---\nlabel: b\n", "shop.yaml:2: is not YAML"),
        ("label: a\nb: \x00\n", "shop.yaml:2: is not YAML: the character '\\x00' is not allowed"),
    ],
)
def test_a_file_that_is_not_a_mapping_is_one_problem(text: str, problem: str, problems: Problems) -> None:
    found = problems(text)
    assert len(found) == 2
    assert found[1].startswith(problem)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("{label: a}\nfeatures:\n", "found '<block mapping start>'; is the indentation right?"),
        ("features:\n  a: 1\n b: 2\n", "is the indentation right?"),
        ("label: a: b\n", "is the indentation right? Text with ': ' in it needs quotes"),
        ("features:\n\ta: 1\n", "indent with spaces, not with tabs"),
        ("label: @click\n", "put text that begins with it in quotes"),
        ("features:\n  *: {type: id}\n", "a name or glob that begins with * needs quotes"),
        ("features:\n  a: {type: id}\n  *_id: {type: id}\n", "quotes around a name or glob that begins with *"),
    ],
)
def test_what_is_not_yaml_comes_with_a_remedy(text: str, remedy: str, problems: Problems) -> None:
    _, problem = problems(text)
    assert remedy in problem


def test_a_file_that_cannot_be_read_is_a_problem(folder: Path) -> None:
    (folder / "latin.yaml").write_bytes(b"label: caf\xe9\n")
    for name, text in [("no.yaml", "no such file"), (".", "is a folder"), ("latin.yaml:1", "is not UTF-8 text")]:
        with pytest.raises(ConfigError, match=f"{name}: {text}"):
            load_config(Path(name.split(":")[0]))


def test_missing_sections_are_reported_at_the_top(problems: Problems) -> None:
    assert problems("group: user")[1:] == [
        "shop.yaml:1: features: is required",
        "shop.yaml:1: label: is required",
    ]


def test_yaml_1_2_values_are_what_they_look_like(load: Load) -> None:
    config = load("""\
label: NO
features:
  1: {type: id, vocabulary: [NO, 2014-10-21, "7", yes]}
train: {dense_optimizer: {lr: 1e-3}, gradient_clip: 5, precision: 32}
tables: {t: {features: ["1"], scheme: hash, rows: 500_000}}
""")
    assert config.label == "NO"
    assert config.features == {"1": IdFeature(type="id", vocabulary=("NO", "2014-10-21", "7", "yes"))}
    assert config.train.dense_optimizer.lr == 0.001
    assert config.train.gradient_clip == 5.0
    assert config.train.precision == "32"
    assert config.tables["t"].model_dump()["rows"] == 500_000


def test_a_repeated_key_is_reported_with_the_other_problems(problems: Problems) -> None:
    assert problems(SHOP + "  user: {type: number, typ: 1}\n  '1': {type: idd}\nlabel: x\n") == [
        "3 problems in the configuration",
        "shop.yaml:5: repeated key 'user', first on line 3",
        "shop.yaml:6: features.1.type: must be one of id, ids, sequence, number, bucket, cross, datetime, "
        "package.module:Class, got 'idd'; did you mean 'id'?",
        "shop.yaml:7: repeated key 'label', first on line 1",
    ]


def test_anchors_and_merge_keys_are_understood(load: Load) -> None:
    config = load("""\
label: clicked
features:
  user: &rare {type: id, min_count: 5}
  item: {<<: *rare, max_size: 9}
  city: *rare
""")
    assert config.features["item"] == IdFeature(type="id", min_count=5, max_size=9)
    assert config.features["city"] == config.features["user"]


def test_tags_and_loops_of_yaml_are_refused(problems: Problems) -> None:
    assert problems("label: !secret a\nfeatures: &f\n  u: {type: id}\ngroup: &g [*g]\n")[1:3] == [
        "shop.yaml:1: tags such as !secret are not understood",
        "shop.yaml:4: an anchor must not contain itself",
    ]


def test_a_feature_config_alone_has_defaults_for_all_else(load: Load) -> None:
    config = load(SHOP)
    assert config.labels == {"label": "clicked"}
    assert config.model == MlpModel()
    assert config.model.dim == 16
    assert config.train.batch_size == 1024
    assert config.data.split is None


def test_the_keys_of_a_union_choose_its_kind(load: Load) -> None:
    towers = ["model: {tower: din, attention: [8]}", "model: {tower: autoint}", "model: {dim: 8}"]
    sequence = SHOP + "  clicks: {type: sequence, of: item}\n"
    kinds = [type(load(sequence + tower).model) for tower in towers]
    assert kinds == [DinModel, AutoIntModel, MlpModel]
    assert load(SHOP + "data: {split: {test: 0.3}}").data.split == FractionSplit(test=0.3)
    time = load(SHOP + "data: {split: {by: time, column: ts}}").data.split
    assert time == TimeSplit(by="time", column="ts")


def test_a_class_of_the_users_own_is_handed_all_other_keys(load: Load) -> None:
    config = load(
        SHOP + "tables: {t: {features: [user], scheme: my.mod:Table, levels: [1, 2]}}\nmodel: {tower: m:T, k: 3}"
    )
    table, model = config.tables["t"], config.model
    assert isinstance(table, CustomTable)
    assert isinstance(model, CustomModel)
    assert table.parameters() == {"levels": (1, 2)}
    assert model.parameters() == {"k": 3}


def test_a_config_knows_where_its_keys_are(load: Load) -> None:
    config = load(SHOP)
    assert config.where("features", "item", "min_count") == "shop.yaml:4: features.item.min_count"
    assert config.where("train", "seed") == "shop.yaml:1: train.seed"
    built = Config.model_validate({"label": "x", "features": {"a": {"type": "id"}}})
    assert built.where("label") == "label"


def test_a_config_does_not_change(load: Load) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(SHOP).label = "other"


def test_importing_the_config_is_light() -> None:
    code = "import recsys.config, sys; print(*{'torch', 'polars', 'numpy', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
