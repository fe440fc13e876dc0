import pytest

from recsys.config import resolve
from tests.config.loading import Load, Problems
from tests.config.texts import HASH, HEAD


@pytest.mark.parametrize(
    ("feature", "problem"),
    [
        ("{type: sequence, of: itm}", ".of: must name an id feature, got 'itm'; did you mean 'item'?"),
        ("{type: sequence, of: genres}", ".of: must name an id feature, but 'genres' is of type ids"),
        ("{type: sequence, of: 'C*'}", ".of: must name one feature, got the glob 'C*'"),
        (
            "{type: sequence, of: item, min_count: 2}",
            ".min_count: has no effect, since the entries are values of 'item': state it there",
        ),
        (
            "{type: sequence, of: item, vocabulary: [a]}",
            ".vocabulary: has no effect, since the entries are values of 'item': state it there",
        ),
        ("{type: sequence, vocabulary: [a, a]}", ".vocabulary[1]: 'a' is listed twice"),
        (
            "{type: sequence, vocabulary: [a], max_size: 2}",
            ".max_size: has no effect with a listed vocabulary; leave it out",
        ),
        (
            "{type: sequence, behaviour: clicks}",
            ".behaviour: no other sequence has the behaviour 'clicks'; or leave it out",
        ),
        ("{type: cross, of: [user, price]}", ".of[1]: must name an id feature, but 'price' is of type number"),
        ("{type: cross, of: [user, usr]}", ".of[1]: must name an id feature, got 'usr'; did you mean 'user'?"),
        ("{type: cross, of: [user, user]}", ".of[1]: 'user' is listed twice"),
        ("{type: bucket}", ": needs exactly one of boundaries and quantiles, got none"),
        ("{type: bucket, quantiles: 3, boundaries: [1]}", ": needs exactly one of boundaries and quantiles, got both"),
        ("{type: bucket, boundaries: [1, 3, 3.0]}", ".boundaries[2]: must be strictly increasing, got 3 before 3"),
        ("{type: id, vocabulary: [a, b, a]}", ".vocabulary[2]: 'a' is listed twice"),
        ("{type: id, vocabulary: [a, 1]}", ".vocabulary: must be all integers or all text, as the column is"),
        (
            "{type: id, vocabulary: [a], min_count: 2}",
            ".min_count: has no effect with a listed vocabulary; leave it out",
        ),
        (
            "{type: ids, vocabulary: [a], max_size: 2}",
            ".max_size: has no effect with a listed vocabulary; leave it out",
        ),
        ("{type: datetime, parts: [day, day]}", ".parts[1]: 'day' is listed twice"),
        ("{type: datetime, format: ymd}", ".format: must have fields such as %Y, got 'ymd'"),
        ("{type: datetime, format: '%y', unit: ms}", ".unit: has no effect with a format; leave it out"),
        ("{type: number, column: clicked}", ".column: reads the label column 'clicked'"),
    ],
)
def test_a_feature_that_makes_no_sense_is_located(feature: str, problem: str, problems: Problems) -> None:
    text = f"{HEAD}  new: {feature}\n{HASH}"
    assert problems(text) == ["1 problem in the configuration", f"shop.yaml:11: features.new{problem}"]


def test_sequences_of_one_behaviour_are_equally_long(problems: Problems) -> None:
    text = HEAD + HASH.replace("tables", "  a: {type: sequence, of: item, behaviour: clicks, max_len: 5}\ntables")
    text = text.replace("tables", "  b: {type: sequence, of: user, behaviour: clicks}\ntables")
    assert problems(text)[1:] == [
        "shop.yaml:12: features.b.max_len: must be 5, as of 'a', which has the same behaviour, got 50"
    ]


def test_a_behaviour_can_be_named_by_its_first_sequence(problems: Problems) -> None:
    text = HEAD + HASH.replace("tables", "  a: {type: sequence, of: item, max_len: 5}\ntables")
    text = text.replace("tables", "  b: {type: sequence, of: user, behaviour: a}\ntables")
    assert problems(text)[1:] == [
        "shop.yaml:12: features.b.max_len: must be 5, as of 'a', which has the same behaviour, got 50"
    ]


def test_a_behaviour_that_is_misspelt_where_a_sequence_adds_to_it_is_named(problems: Problems) -> None:
    text = HEAD + HASH.replace("tables", "  seen: {type: sequence, of: item}\ntables")
    text = text.replace("tables", "  marks: {type: sequence, behaviour: sen}\ntables")
    assert problems(text)[1:] == [
        "shop.yaml:12: features.marks.behaviour: no other sequence has the behaviour 'sen'; did you mean 'seen'?; or "
        "leave it out"
    ]


@pytest.mark.parametrize("behaviour", ["seen", "clicks"])
def test_sequences_with_and_without_a_target_are_one_behaviour(behaviour: str, load: Load) -> None:
    of = "" if behaviour == "seen" else f", behaviour: {behaviour}"
    text = f"""\
label: y
features:
  marks: {{type: sequence, behaviour: {behaviour}}}
  item: {{type: id}}
  seen: {{type: sequence, of: item{of}}}
  moods: {{type: sequence}}
model: {{tower: din}}
"""
    resolved = resolve(load(text), [])
    assert resolved.behaviours() == {behaviour: (["seen", "marks"], ["item"]), "moods": (["moods"], [])}
    assert list(resolved.attendable()) == [behaviour]
    assert resolved.aligned() == [["seen", "marks"]]
    assert [table.fields for table in resolved.tables] == [("marks",), ("item", "seen"), ("moods",)]


def test_a_broken_feature_still_counts_as_declared(problems: Problems) -> None:
    text = """\
label: clicked
features:
  item: {type: id, min_count: x}
  history: {type: sequence, of: item}
  pair: {type: cross, of: [item, itme]}
tables: {t: {features: [item]}}
model: {tower: din}
"""
    assert problems(text)[1:] == [
        "shop.yaml:3: features.item.min_count: expected an integer, got 'x'",
        "shop.yaml:5: features.pair.of[1]: must name an id feature, got 'itme'; did you mean 'item'?",
    ]


def test_names_that_a_glob_may_stand_for_are_checked_later(load: Load) -> None:
    load(HEAD + "  pair: {type: cross, of: [C1, C2]}\n" + HASH[:-2] + ", c: {features: [C3, 'C1*']}}\n")
