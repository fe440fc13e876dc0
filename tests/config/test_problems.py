import pytest

from recsys.config.problems import SourceMap, YamlLocation
from recsys.errors import ConfigError, ShardingError

SOURCE = SourceMap(
    {
        (): YamlLocation("a.yaml", 1),
        ("tables",): YamlLocation("a.yaml", 2),
        ("tables", "a: b"): YamlLocation("a.yaml", 3),
        ("tables", "a"): YamlLocation("a.yaml", 4),
        ("tables", "a", "budget"): YamlLocation("a.yaml", 5),
    }
)


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("tables.a.budget: is too small", "a.yaml:5: "),
        ("tables.a.parts: must divide dim", "a.yaml:4: "),
        ("tables.a: does not fit", "a.yaml:4: "),
        ("tables.a: b: does not fit", "a.yaml:3: "),
        ("tables.ab: is another", "a.yaml:2: "),
        ("tables", ""),
        ("model.dim: has its default", ""),
        ("no key at all", ""),
    ],
)
def test_a_message_that_begins_with_a_key_is_located(text: str, location: str) -> None:
    assert SOURCE.locate_text(text) == f"{location}{text}"


def test_an_error_that_is_located_keeps_its_kind_and_its_cause() -> None:
    cause = ValueError("why")
    with pytest.raises(ShardingError, match=r"^a\.yaml:4: tables\.a: does not fit$") as error, SOURCE.locating():
        raise ShardingError("tables.a: does not fit") from cause
    assert error.value.__cause__ is cause
    with pytest.raises(ConfigError, match=r"^no key$"), SOURCE.locating():
        raise ConfigError("no key")
