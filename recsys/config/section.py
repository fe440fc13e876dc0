"""Base of all sections of a configuration, and registries of sections of which a key chooses one."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Discriminator, GetCoreSchemaHandler, GetJsonSchemaHandler, Tag
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import SchemaValidator, core_schema

from recsys.config.problems import TAG_MARK, KeyPath
from recsys.errors import ConfigError
from recsys.registry import CLASS_PATH, CUSTOM, BrokenModuleError, Registry, class_problem, load_class, load_object

__all__ = [
    "BY_SHAPE",
    "CLASS_PATH",
    "CUSTOM",
    "UNIONS",
    "CustomSection",
    "Section",
    "SectionRegistry",
    "shape_tag",
]


class Section(BaseModel):
    """Base of all sections of the file: unknown keys are errors, objects do not change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    implementation: ClassVar[str | type] = ""
    """The class that a section of a registry configures, or the import path from which it is loaded when first used."""
    renamed: ClassVar[Mapping[str, str]] = {}
    """Former names of keys and what they are called now, for the message that refuses the former."""

    @classmethod
    def new_name(cls, key: str) -> str | None:
        """Return what a key is called now, if it had another name in former versions."""
        name = cls.renamed.get(key)
        return name if name in cls.model_fields else None

    @classmethod
    def advice(cls, _key: str) -> str:
        """Return what to do about a key that the section does not have; "" if nothing is known of it."""
        return ""

    def check(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield what is wrong with values that are right by themselves: the path inside the section and the rule."""
        yield from ()


class CustomSection(Section):
    """Base of the sections of the user's own classes that have none themselves, for any keys.

    It comes after the base of the kind of section, whose settings it overrides.
    """

    model_config = ConfigDict(extra="allow")

    def parameters(self) -> dict[str, Any]:
        """Return the keys that only the user's own class knows; lists are tuples."""
        return dict(self.model_extra or {})


S = TypeVar("S", bound=Section)
T = TypeVar("T")


class SectionRegistry(Registry[type[S]]):
    """Kinds of section of which a key chooses one: `scheme: hash` is a `HashTable`.

    As an annotation, `Annotated[TableSection, SCHEMES]`, it makes pydantic validate a mapping by the section that its
    key names. It looks the name up when a value is validated, so that a section which is registered later is found.
    A value `package.module:Class` names a class of the user's own: if that has a section in its attribute `section`,
    this is taken, else `custom`.

    Args:
        kind: what the entries are, for messages: "scheme".
        key: the key that chooses, whose type in each section is `Literal[NAME]`.
        default: the name that is meant where the key is not given; "" if it must be.
        base: import path of the class that classes of the user's own must extend.
        custom: the section of classes of the user's own that have none themselves; None if there can be no such class.
        takes_name: whether a plain name stands for `{key: name}`.
    """

    def __init__(
        self,
        kind: str,
        *,
        key: str,
        default: str = "",
        base: str = "",
        custom: type[S] | None = None,
        takes_name: bool = False,
    ) -> None:
        super().__init__(kind)
        self.key = key
        self.default = default
        self.base = base
        self.custom = custom
        self.takes_name = takes_name
        self._validators: dict[type[S], SchemaValidator] = {}
        UNIONS.append(self)

    def add(self, section: type[S]) -> type[S]:
        """Register a section under the name that its key must have, and return it; also a decorator.

        Raises:
            ConfigError: its key is no `Literal[NAME]`, or the name belongs to another section.
        """
        field = section.model_fields.get(self.key)
        names = get_args(field.annotation) if field else ()
        if len(names) != 1:
            raise ConfigError(f"{section.__name__} must state its name as `{self.key}: Literal['name']`")
        return self.register(names[0], section)

    def add_class(self, cls: type) -> None:
        """Register a class of the user's own under the name that its section states.

        Raises:
            ConfigError: the class has no attribute `section`, or the name is taken.
        """
        section = getattr(cls, "section", None)
        if not (isinstance(section, type) and issubclass(section, Section)) or section is self.custom:
            raise ConfigError(f"{cls.__qualname__} must have a section of its own in the attribute `section`")
        self.add(section)  # type: ignore[arg-type]
        section.implementation = cls

    def implementation(self, section: S, base: type[T], *, where: str) -> type[T]:
        """Return the class that a section configures, and import it if it has not been.

        Args:
            section: of this registry, or of a class of the user's own.
            base: what the class must extend.
            where: the key that names it, for messages, such as "model.tower".

        Raises:
            ConfigError: it cannot be found, does not extend `base`, or states a fact that only its section may state.
        """
        name: str = getattr(section, self.key)
        found = name if ":" in name else type(section).implementation
        cls: type[T] = load_class(found, base, where=where) if isinstance(found, str) else found
        for fact in sorted(type(section).__class_vars__):
            if hasattr(cls, fact):
                raise ConfigError(f"{where}: {cls.__qualname__} states {fact}, which only its section may state")
        return cls

    def section_of(self, name: str) -> type[S] | None:
        """Return the section of a registered name or of a class of the user's own; None if there is none."""
        if ":" in name and self.custom is not None:
            return self._own_section(name, self.custom)
        return self.get(name)

    def choices(self) -> dict[str, type[S]]:
        """Return all sections by tag."""
        own = {} if self.custom is None else {CUSTOM: self.custom}
        return {_tag(self.key, name): section for name, section in {**dict(self.items()), **own}.items()}

    def _own_section(self, path: str, custom: type[S]) -> type[S]:
        """Return the section of a class of the user's own; `custom` if it has none, or cannot be found yet.

        Raises:
            ValueError: the module raised, or the class is not of the kind of this registry.
        """
        try:
            found = load_object(path)
        except BrokenModuleError as error:
            raise ValueError(str(error)) from error
        except ConfigError:
            return custom  # whoever builds it says so
        section = getattr(found, "section", custom)
        if not (isinstance(section, type) and issubclass(section, Section) and self.key in section.model_fields):
            raise ValueError(f"{path!r} is no {self.kind}: its `section` must be a section with the key `{self.key}`")
        if text := class_problem(found, path, self.base):
            raise ValueError(text)
        if section is custom:
            return custom
        return _under_path(section, self.key, path)

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(
        self, _schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        union = handler(self._union(self.choices()))
        return {"anyOf": [{"type": "string"}, union]} if self.takes_name else union

    def _validate(self, value: Any) -> S:
        if self.takes_name and isinstance(value, str):
            value = {self.key: value}
        section = self.section_of(self._name_of(value))
        validator = self._refuser() if section is None else self._validator(section)
        found: S = validator.validate_python(_with_tuples(value))
        return found

    def _validator(self, section: type[S]) -> SchemaValidator:
        if section not in self._validators:
            name = CUSTOM if section not in self.values() else next(n for n, one in self.items() if one is section)
            self._validators[section] = SchemaValidator(self._union({_tag(self.key, name): section}))
        return self._validators[section]

    def _refuser(self) -> SchemaValidator:
        """Return a validator of what has none of the names; its problem lists them all.

        The sections themselves are left out: pydantic refuses two of them that hold a section of the same kind.
        """
        choices = {
            tag: section.__pydantic_core_schema__ if section is self.custom else core_schema.any_schema()
            for tag, section in self.choices().items()
        }
        return SchemaValidator(core_schema.tagged_union_schema(choices, self._tag_of))

    def _union(self, choices: Mapping[str, type[S]]) -> core_schema.CoreSchema:
        """Return the union of sections, of which only that whose tag is chosen reports problems."""
        return core_schema.tagged_union_schema(
            {tag: section.__pydantic_core_schema__ for tag, section in choices.items()}, self._tag_of
        )

    def _name_of(self, value: Any) -> str:
        name = value.get(self.key, self.default) if isinstance(value, Mapping) else getattr(value, self.key, "")
        return name if isinstance(name, str) else str(name)

    def _tag_of(self, value: Any) -> str:
        name = self._name_of(value)
        return _tag(self.key, CUSTOM if ":" in name else name)


UNIONS: list[SectionRegistry[Any]] = []
"""All registries of sections."""


@functools.cache
def _under_path(section: type[S], key: str, path: str) -> type[S]:
    """Return a section whose key is the import path of its class instead of a name."""
    namespace = {"__annotations__": {key: Literal[path]}, "__module__": section.__module__, "__doc__": section.__doc__}
    derived: type[S] = type(section).__call__(type(section), section.__name__, (section,), namespace)
    return derived


def _tag(key: str, value: str) -> str:
    """Return what marks a value that is read as another by its key; no key of a file looks like it."""
    return f"{TAG_MARK}{key}={value}"


def _with_tuples(value: Any) -> Any:
    """Return a value of JSON or Python as YAML gives it: lists are tuples."""
    if isinstance(value, Mapping):
        return {key: _with_tuples(child) for key, child in value.items()}
    return tuple(_with_tuples(child) for child in value) if isinstance(value, list) else value


def shape_tag(shape: str) -> Tag:
    """Mark what a value of this shape (text, integer, list, mapping) is read as."""
    return Tag(_tag("shape", shape))


def _shape(value: Any) -> str:
    names = {bool: "boolean", int: "integer", str: "text", dict: "mapping", tuple: "list", list: "list"}
    return _tag("shape", "mapping" if isinstance(value, Section) else names.get(type(value), "other"))


BY_SHAPE = Discriminator(_shape)
"""Chooses by what the value is, e.g. one path or a list of paths."""
