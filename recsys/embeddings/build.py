"""Building the schemes that store the tables of a configuration. Needs torch, but not torchrec."""

from collections.abc import Sequence

from recsys.config import ResolvedTable
from recsys.config.schemes import SCHEMES
from recsys.embeddings.budget import UnreachableError, scheme_class, schemes_within_budget, solve_budget
from recsys.embeddings.scheme import FeatureVocabulary, Scheme
from recsys.errors import ConfigError

__all__ = ["build_schemes", "register_scheme"]


def build_schemes(table: ResolvedTable, vocabularies: Sequence[FeatureVocabulary]) -> list[Scheme]:
    """Return the schemes that store a table, of which there may be several, such as one for each feature.

    Raises:
        ConfigError: A class of the user's own cannot be found; the scheme takes no open vocabulary, and one is open; or
            the budget cannot be reached, in which case the message names schemes that can reach it.
    """
    kind = scheme_class(table.spec, where=f"tables.{table.name}.scheme")
    is_open = [vocabulary.name for vocabulary in vocabularies if vocabulary.num_ids is None]
    if is_open and not table.spec.takes_open:
        raise ConfigError(
            f"tables.{table.name}: scheme {table.spec.scheme} takes no open vocabulary, which {is_open[0]!r} has"
        )
    try:
        spec = solve_budget(table, vocabularies)
    except UnreachableError as error:
        able = ", ".join(schemes_within_budget(table, vocabularies, error.budget)) or "none"
        raise ConfigError(f"{error}; schemes that can reach the budget: {able}") from error
    return kind.build(table.name, vocabularies, table.dim, spec)


def register_scheme(scheme: type[Scheme]) -> type[Scheme]:
    """Register a scheme under the name that its `section` states, and return it; also usable as a class decorator.

    Raises:
        ConfigError: The scheme has no section of its own, or the name is taken.
    """
    SCHEMES.add_class(scheme)
    return scheme
