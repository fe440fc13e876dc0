from tests.config.loading import Load, Problems

HEAD = "label: y\nfeatures: {a: {type: id}, b: {type: id}}\n"


def test_a_configuration_without_the_section_has_none(load: Load) -> None:
    assert load(HEAD).search is None


def test_what_may_change_is_read(load: Load) -> None:
    search = load(HEAD + "search: {dims: {a: [4, 8]}, schemes: [full, qr], space: {train.epochs: [1, 2]}}").search
    assert search is not None
    assert (search.dims, search.schemes, search.space) == ({"a": (4, 8)}, ("full", "qr"), {"train.epochs": (1, 2)})


def test_every_problem_of_the_section_is_reported_with_its_line(problems: Problems) -> None:
    text = """search:
  dims: {a: [4, 4]}
  schemes: [full, hsah]
  space:
    train.epochs: {low: 3, high: 3}
    train.dense_optimizer.lr: {low: 0, high: 1.0, log: true}
    train.batch_size: {low: 1, high: 8, log: true, step: 2}
    model.mlp: [[8], [8]]
    model.batch_norm: [true, 1]
"""
    assert [line.partition("; known")[0] for line in problems(HEAD + text)] == [
        "6 problems in the configuration",
        "shop.yaml:4: search.dims.a[1]: 4 is listed twice",
        "shop.yaml:5: search.schemes[1]: unknown scheme 'hsah'; did you mean 'hash'?",
        "shop.yaml:7: search.space.train.epochs.high: must be greater than low (3), got 3",
        "shop.yaml:8: search.space.train.dense_optimizer.lr.low: must be greater than 0, since `log` is true, got 0",
        "shop.yaml:9: search.space.train.batch_size.step: has no sense where `log` is true; leave out one of the two",
        "shop.yaml:10: search.space.model.mlp[1]: (8,) is listed twice",
    ]


def test_what_is_no_range_or_list_is_refused(problems: Problems) -> None:
    assert problems(HEAD + "search: {space: {train.epochs: 3}}")[1:] == [
        "shop.yaml:3: search.space.train.epochs: expected a mapping or a list, got 3"
    ]
    assert problems(HEAD + "search: {space: {train.epochs: {low: x, high: true}}}")[1:] == [
        "shop.yaml:3: search.space.train.epochs.high: expected a number",
        "shop.yaml:3: search.space.train.epochs.low: expected a number",
    ]


def test_a_path_that_stands_beside_the_space_is_told_where_it_goes(problems: Problems) -> None:
    assert problems(HEAD + "search: {train.epochs: [1, 2]}")[1:] == [
        "shop.yaml:3: search.train.epochs: unknown key; paths of other keys of the configuration go under search.space"
    ]
    assert problems(HEAD + "search: {dim: [4]}")[1:] == ["shop.yaml:3: search.dim: unknown key; did you mean 'dims'?"]
