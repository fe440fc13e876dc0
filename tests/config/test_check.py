import pytest

from recsys.config import resolve, warnings_of
from recsys.config.schemes import SCHEMES
from tests.config.loading import Load, Problems
from tests.config.texts import HASH, HEAD


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("  '*x': {type: id, column: a}", "features.*x.column: has no sense for a glob, whose features each read the "),
        ("  '*x': {type: cross, of: [user, item]}", "features.*x: a cross reads no column, so its name must not be a"),
        ("  __label.x: {type: id}", "features.__label.x: a name must not begin with __, which marks labels"),
        ("weight: clicked", "weight: must not be the label column 'clicked'"),
        ("group: clicked", "group: must not be the label column 'clicked'"),
        ("data: {split: {by: time, column: clicked}}", "data.split.column: must not be the label column 'clicked'"),
        (
            "data: {valid: v, split: {}}",
            "data.valid: must not be given together with data.split, which cuts data.train",
        ),
        ("data: {split: {valid: 0.5, test: 0.5}}", "data.split: valid and test must leave a share for training, got 1"),
        ("data: {header: false}", "data.header: files without a header need data.columns, the names of the columns"),
        ("data: {columns: [a]}", "data.columns: is for files without a header; leave it out, or add `header: false`"),
        ("data: {header: false, columns: [a, b, a]}", "data.columns[2]: 'a' is listed twice"),
        ("data: {format: parquet, separator: ','}", "data.separator: has no effect with format parquet; leave it out"),
        ("data: {format: arrow, header: false}", "data.header: has no effect with format arrow; leave it out"),
        ("model: {mlp: [], batch_norm: true}", "model.batch_norm: has no effect without hidden layers in model.mlp"),
        ("train: {early_stopping: {metric: gauc}}", "train.early_stopping.metric: gauc needs `group`, the column to"),
        (
            "train: {lr_schedule: {name: plateau, patience: 2}}",
            "train.lr_schedule.patience: must be less than early_stopping.patien",
        ),
    ],
)
def test_sections_that_do_not_fit_are_located(line: str, problem: str, problems: Problems) -> None:
    found = problems(f"{HEAD}{line}\n{HASH}")
    assert found[0] == "1 problem in the configuration"
    assert found[1].startswith(f"shop.yaml:11: {problem}")


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("{features: [usr]}", "features[0]: unknown feature 'usr'; did you mean 'user'?"),
        ("{features: [time.minute]}", "features[0]: unknown feature 'time.minute'; did you mean 'time.hour'?"),
        ("{features: [user, user]}", "features[1]: 'user' is listed twice"),
        ("{features: [time, time.day]}", "features[1]: 'time.day' is listed twice"),
        ("{features: [open]}", "features[0]: 'open' is in table 'hashed' already"),
        (
            "{features: [history]}",
            "features[0]: 'history' is a sequence and shares the table of 'item'; name that inst",
        ),
        ("{features: [price]}", "features[0]: 'price' is a number, which has no embedding; leave it out, or make it a"),
    ],
)
def test_a_table_that_names_the_wrong_features_is_located(table: str, problem: str, problems: Problems) -> None:
    found = problems(f"{HEAD}{HASH[:-2]}, t: {table}}}\n")
    assert found[0] == "1 problem in the configuration"
    assert found[1].startswith(f"shop.yaml:11: tables.t.{problem}")


@pytest.mark.parametrize(
    ("tables", "got"),
    [
        ("{}", "none"),
        ("{t: {features: [open]}}", "table 't', which is full"),
        ("{t: {features: ['*']}}", "table 't', which is full"),
    ],
)
def test_an_open_vocabulary_needs_a_hashed_table(tables: str, got: str, problems: Problems) -> None:
    needs = f"needs a table with one of the schemes {', '.join(name for name in SCHEMES if SCHEMES[name].takes_open)}"
    message = f"features.open.vocabulary: an open vocabulary {needs}, got {got}"
    assert problems(f"{HEAD}tables: {tables}\n")[1:] == [f"shop.yaml:5: {message}"]


def test_an_open_vocabulary_may_be_in_a_hashed_table_or_one_of_the_users_own(load: Load) -> None:
    load(HEAD + HASH)
    load(HEAD + "tables: {t: {features: ['o*'], scheme: my:Table}}")
    load(HEAD + "tables: {mine: {features: ['C1']}, t: {features: [open], scheme: hash, rows: 1}}")


def test_a_table_must_not_take_the_name_of_a_feature_without_a_table(problems: Problems) -> None:
    text = HEAD + "tables: {user: {features: [open], scheme: hash, rows: 1}}"
    assert problems(text)[1] == (
        "shop.yaml:11: tables.user: is also the name of the table that feature 'user' has for itself"
    )


@pytest.mark.parametrize("tower", ["fm", "autoint"])
def test_a_tower_that_multiplies_embeddings_wants_one_dim(tower: str, load: Load, problems: Problems) -> None:
    tables = "tables: {t: {features: [user], dim: 8}, h: {features: [open], scheme: hash, rows: 9}}\n"
    found = problems(f"{HEAD}{tables}model: {{tower: {tower}}}\n")
    assert found[1:] == [
        f"shop.yaml:12: model.tower: {tower} needs one dim for all tables, got t 8, h 16, all others 16"
    ]
    load(f"{HEAD}{tables}model: {{tower: {tower}, dim: 8}}\n")


@pytest.mark.parametrize(
    ("keys", "got"),
    [
        ("dim: 4, lookups: {user: 4, C1: 4}", "t (user) 16, t (item) 4, all others 16"),
        ("lookups: 2", "t 32, all others 16"),
    ],
)
def test_lookups_count_in_the_width_that_a_tower_wants(keys: str, got: str, problems: Problems) -> None:
    table = f"t: {{features: [user, item, open, 'C*'], scheme: unified, rows: 9, {keys}}}"
    found = problems(f"{HEAD}tables: {{{table}}}\nmodel: {{tower: autoint}}\n")
    assert found[1:] == [f"shop.yaml:12: model.tower: autoint needs one dim for all tables, got {got}"]


def test_narrow_rows_may_add_up_to_the_width_that_a_tower_wants(load: Load) -> None:
    rest = "rest: {features: [item, C*, genres, time]}"
    table = "t: {features: [user, open], scheme: unified, rows: 9, dim: 4, lookups: {user: 4, open: 4}}"
    load(f"{HEAD}tables: {{{table}, {rest}}}\nmodel: {{tower: autoint}}\n")


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        ("usr", "no feature 'usr' in this table; did you mean 'user'?"),
        ("open", "no feature 'open' in this table"),
        ("price", "no feature 'price' in this table"),
        ("history", "'history' is a sequence and reads the rows of 'item'; name that instead"),
        ("C*", "must name one feature, got the glob 'C*'"),
    ],
)
def test_lookups_of_a_feature_that_is_not_in_the_table_are_located(feature: str, text: str, problems: Problems) -> None:
    table = f"t: {{features: [user, item, 'C*'], scheme: unified, rows: 9, lookups: {{user: 2, {feature}: 3}}}}"
    found = problems(f"{HEAD}{HASH[:-2]}, {table}}}\n")
    assert found[1:] == [f"shop.yaml:11: tables.t.lookups.{feature}: {text}"]


def test_lookups_may_name_what_a_glob_stands_for_and_features_that_could_not_be_read(
    load: Load, problems: Problems
) -> None:
    table = "t: {features: ['*'], scheme: unified, rows: 9, lookups: {C1: 2, item: 2, time.day: 3, bad: 2}}"
    assert "tables.t.lookups.bad: no feature 'bad' in this table" in problems(f"{HEAD}tables: {{{table}}}\n")[1]
    load(f"{HEAD}tables: {{{table.replace(', bad: 2', '')}}}\n")
    assert "lookups" not in "".join(problems(f"{HEAD}  bad: {{type: nonsense}}\ntables: {{{table}}}\n"))


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (
            "scheme: unified, rows: 9, probes: 3",
            "probes: must divide dim (16) into rows of a multiple of 4 floats, got 3",
        ),
        (
            "scheme: unified, rows: 9, dim: 8, probes: 4",
            "probes: must divide dim (8) into rows of a multiple of 4 floats, got 4",
        ),
        ("scheme: robe, size: 99, chunk: 12", "chunk: must divide dim (16), got 12"),
        ("scheme: robe, size: 99, dim: 8, chunk: 16", "chunk: must divide dim (8), got 16"),
        ("scheme: dpq, dim: 12, parts: 5", "parts: must divide dim (12), got 5"),
        ("scheme: mgqe, parts: 3", "parts: must divide dim (16), got 3"),
        ("scheme: robe, size: 15, chunk: 4", "size: must be at least dim (16), got 15"),
    ],
)
def test_an_embedding_that_cannot_be_cut_is_located(table: str, problem: str, problems: Problems) -> None:
    found = problems(f"{HEAD}{HASH[:-2]}, t: {{features: [user], {table}}}}}\n")
    assert found[1:] == [f"shop.yaml:11: tables.t.{problem}"]


def test_embeddings_that_can_be_cut_are_no_problem(load: Load) -> None:
    load(f"{HEAD}{HASH[:-2]}, t: {{features: [user], scheme: unified, budget: 1kB, probes: 4}}}}\n")
    load(f"{HEAD}{HASH[:-2]}, t: {{features: [user], scheme: robe, size: 16, chunk: 8}}}}\n")


def test_a_penalty_on_rows_that_a_table_has_not_is_a_warning_where_somebody_asks_for_it(load: Load) -> None:
    text = "label: y\nfeatures: {user: {type: id}}\ntables: {t: {features: [user], scheme: dhe, width: 8}}\n"
    for train in ("", "train: {epochs: 3}\n", "train: {regularization: {rows: 0}}\n"):
        assert warnings_of(resolve(load(text + train), [])) == []
    (warning,) = warnings_of(resolve(load(text + "train: {regularization: {rows: 0.1}}\n"), []))
    assert warning == (
        "shop.yaml:3: tables.t: train.regularization.rows has no effect on it: scheme dhe has no rows of floats"
    )


@pytest.mark.parametrize("scheme", ["unified, rows: 9", "hash, rows: 9", "multi_hash, rows: 9", "robe, size: 99"])
def test_rows_that_features_share_under_a_tower_that_reads_them_alike_are_a_warning(scheme: str, load: Load) -> None:
    text = "label: y\nfeatures: {user: {type: id}, item: {type: id}, history: {type: sequence, of: item}}\n"
    tables = f"tables: {{t: {{features: [user, item], scheme: {scheme}}}}}\n"
    for tower in ("fm", "lr"):
        (warning,) = warnings_of(resolve(load(f"{text}{tables}model: {{tower: {tower}}}\n"), []))
        assert warning.startswith(f"shop.yaml:3: tables.t: its features share rows (scheme {scheme.split(',')[0]}), ")
        assert f"tower {tower} reads all features alike" in warning


@pytest.mark.parametrize(
    ("table", "tower"),
    [
        ("features: [user, item], scheme: unified, rows: 9", "mlp"),
        ("features: [item], scheme: unified, rows: 9", "fm"),
        ("features: [user, item], scheme: hash, rows: 9, per_feature: true", "fm"),
        ("features: [user, item]", "fm"),
    ],
)
def test_rows_that_are_told_apart_are_no_warning(table: str, tower: str, load: Load) -> None:
    text = "label: y\nfeatures: {user: {type: id}, item: {type: id}, history: {type: sequence, of: item}}\n"
    config = load(f"{text}tables: {{t: {{{table}}}}}\nmodel: {{tower: {tower}}}\n")
    assert warnings_of(resolve(config, [])) == []


def test_din_needs_a_sequence(problems: Problems) -> None:
    text = "label: y\nfeatures: {user: {type: id}}\nmodel: {tower: din}\n"
    assert problems(text)[1:] == ["shop.yaml:3: model.tower: din needs at least one feature of type sequence"]


def test_din_needs_a_sequence_that_the_candidate_is_held_against(problems: Problems, load: Load) -> None:
    text = "label: y\nfeatures: {user: {type: id}, marks: {type: sequence}}\nmodel: {tower: TOWER}\n"
    assert problems(text.replace("TOWER", "din"))[1:] == [
        "shop.yaml:3: model.tower: din needs at least one feature of type sequence with `of`, whose entries are held "
        "against the candidate; 'marks' has none"
    ]
    assert [table.name for table in resolve(load(text.replace("TOWER", "mlp")), []).tables] == ["user", "marks"]


def test_a_table_may_hold_a_sequence_that_has_a_vocabulary_of_its_own(problems: Problems, load: Load) -> None:
    text = "label: y\nfeatures: {item: {type: id}, seen: {type: sequence, of: item}, marks: {type: sequence}}\n"
    config = load(text + "tables: {t: {features: [marks], scheme: hash, rows: 7}}\n")
    assert [table.fields for table in resolve(config, []).tables] == [("marks",), ("item", "seen")]
    shared = "'seen' is a sequence and shares the table of 'item'; name that instead"
    assert problems(text + "tables: {t: {features: [seen]}}\n")[1:] == [f"shop.yaml:3: tables.t.features[0]: {shared}"]


def test_two_tasks_must_not_share_a_label(problems: Problems) -> None:
    text = HEAD.replace("label: clicked", "label: {a: x, b: x}") + HASH
    assert problems(text)[1:] == ["shop.yaml:1: label.b: column 'x' is already the label of task 'a'"]


SPECS = {
    "int8": "{features: [user], scheme: int8, %s}",
    "full": "{features: [user], %s}",
    "dedup": "{features: [user], scheme: dedup, blocks: 3, %s}",
    "deeplight": "{features: [user], scheme: deeplight, density: 0.1, %s}",
}


@pytest.mark.parametrize(
    ("scheme", "key", "value", "problem"),
    [
        (
            "int8",
            "sharding",
            "row_wise",
            "has no effect on scheme int8, which keeps its parameters on every device; leave",
        ),
        ("int8", "placement", "uvm", "has no effect on scheme int8"),
        ("int8", "precision", "fp16", "has no effect on scheme int8"),
        (
            "full",
            "sharding",
            "column_wise",
            "column_wise splits rows, of which sparse_optimizer rowwise_adagrad keeps one",
        ),
        (
            "full",
            "sharding",
            "grid",
            "grid splits rows, of which sparse_optimizer rowwise_adagrad keeps one state each",
        ),
        (
            "dedup",
            "sharding",
            "row_wise",
            "scheme dedup trains on the whole table, so it must be table_wise, got row_wise",
        ),
        (
            "deeplight",
            "sharding",
            "grid",
            "scheme deeplight trains on the whole table, so it must be table_wise, got grid",
        ),
        ("full", "serving_precision", "fp32, precision: fp16", "rows of fp16 have no more to serve, got fp32"),
        (
            "full",
            "placement",
            "uvm_caching, serving_precision: fp16",
            "rows are rounded before validation, when a cache",
        ),
        ("deeplight", "precision", "fp16", "scheme deeplight trains on the bits of 32-bit floats, so it must be fp32"),
    ],
)
def test_a_placement_that_cannot_be_is_located(
    scheme: str, key: str, value: str, problem: str, problems: Problems
) -> None:
    table = SPECS[scheme] % f"{key}: {value}"
    found = problems(f"{HEAD}tables: {{hashed: {{features: [open], scheme: hash, rows: 9}}, t: {table}}}\n")
    assert found[0] == "1 problem in the configuration"
    assert found[1].startswith(f"shop.yaml:11: tables.t.{key}: {problem}")


@pytest.mark.parametrize(
    ("scheme", "keys"),
    [
        ("full", "sharding: column_wise, placement: uvm_caching, precision: fp16"),
        ("full", "sharding: grid"),
        ("dedup", "sharding: table_wise, precision: fp16"),
        ("deeplight", "sharding: table_wise, placement: uvm"),
        ("int8", "precision: fp32"),
    ],
)
def test_placements_that_can_be_are_loaded(scheme: str, keys: str, load: Load) -> None:
    table = SPECS[scheme] % keys
    tables = f"tables: {{hashed: {{features: [open], scheme: hash, rows: 9}}, t: {table}}}\n"
    spec = load(f"{HEAD}{tables}train: {{sparse_optimizer: {{name: adagrad}}}}\n").tables["t"]
    assert {f"{key}: {getattr(spec, key)}" for key in ("sharding", "placement", "precision")} >= set(keys.split(", "))


def test_columns_are_not_cut_under_one_state_a_row_even_by_default(problems: Problems) -> None:
    (_, found) = problems(f"{HEAD}{HASH[:-2]}, t: {{features: [user], sharding: column_wise}}}}\n")
    assert found.endswith("take sparse_optimizer adagrad, or sharding row_wise")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("shard: row_wise", "tables.t.shard: unknown key for scheme hash: it is now called sharding"),
        ("separate: true", "tables.t.separate: unknown key for scheme hash: it is now called per_feature"),
    ],
)
def test_a_former_name_of_a_key_is_refused_with_the_present_one(keys: str, message: str, problems: Problems) -> None:
    (_, found) = problems(f"{HEAD}tables: {{t: {{features: [user], scheme: hash, rows: 9, {keys}}}}}\n")
    assert found.endswith(message)


def test_a_former_name_of_a_key_is_refused_for_a_scheme_without_a_section_too(problems: Problems) -> None:
    table = "{features: [a], scheme: no.where:Own, shard: row_wise}"
    (_, found) = problems(f"label: y\nfeatures: {{a: {{type: id}}}}\ntables: {{t: {table}}}\n")
    assert found.endswith("tables.t.shard: is now called sharding")
