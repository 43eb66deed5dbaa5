"""Declared drops: what a change of a model's row makes outdated, with the values it had and has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.db import connections
from django.db.models.signals import class_prepared, post_save, pre_delete, pre_save

from .clients import clients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from django.db.models import Model

__all__ = ["Declared", "drops"]

T = TypeVar("T")


def drops(model: type[Model], /, *, client: str = "default", **pairs: str) -> Callable[[T], T]:
    """Declare what a change of a model's rows makes outdated: entries that carry all of the pairs.

    ``save()``, ``create()``, ``delete()`` and cascades drop, after their COMMIT, the entries with the values
    that the row had and those that it has. ``update()``, ``bulk_create()``, ``bulk_update()``, changes of
    many-to-many relations and raw SQL send no signals: ``TABLE_TAGS`` sees them.

    Args:
        model: and its subclasses.
        client: the alias of the client whose entries they are.
        **pairs: by the name that reads give a param, a field of the model: its name, the name of its column's
            attribute, or ``pk``.

    Returns:
        A decorator that leaves what it decorates as it is, to stand above the function or class that reads.

    Raises:
        ValueError: no pairs, or no such field.
    """
    if not pairs:
        raise ValueError(f"drops({model.__name__}) names no pair; write UserId='user_id', say")
    declared = Declared(model, client, tuple(pairs), [_attribute(model, field) for field in pairs.values()])
    for each in _family(model):
        declared.connect(each)
    class_prepared.connect(declared.hear_class, weak=False)
    return lambda decorated: decorated


def _attribute(model: Any, name: str) -> str:
    meta = model._meta  # noqa: SLF001 - Django's documented name
    if name == "pk":
        return str(meta.pk.attname)
    for field in meta.concrete_fields:
        if name in {field.name, field.attname}:
            return str(field.attname)
    known = ", ".join(field.attname for field in meta.concrete_fields)
    raise ValueError(f"{model.__name__} has no column for {name!r}; it has {known}")


def _family(model: type[Model]) -> Iterator[type[Model]]:
    yield model
    for child in model.__subclasses__():
        yield from _family(child)


class Declared:
    """The drops of one declaration.

    Args:
        model: whose rows.
        client: an alias.
        names: of the pairs.
        attributes: of the rows, one for each.
    """

    def __init__(self, model: Any, client: str, names: Sequence[str], attributes: Sequence[str]) -> None:
        self._model = model
        self._client = client
        self._names = names
        self._attributes = attributes
        self._slot = f"_mrc_before_{id(self)}"

    def connect(self, model: type[Model]) -> None:
        """Hear of the changes of a model's rows."""
        pre_save.connect(self.before_save, sender=model, weak=False)
        post_save.connect(self.after_save, sender=model, weak=False)
        pre_delete.connect(self.before_delete, sender=model, weak=False)

    def hear_class(self, sender: type[Model], **_: object) -> None:
        """Connect a subclass that is defined later."""
        if issubclass(sender, self._model) and sender is not self._model:
            self.connect(sender)

    def before_save(self, instance: Any, using: str, **_: object) -> None:
        """Note the values that the row has so far, which the instance need not know."""
        is_new = instance._state.adding and (instance.pk is None or instance._meta.pk.has_default())  # noqa: SLF001
        instance.__dict__[self._slot] = None if is_new else self._stored(instance, using)

    def after_save(self, instance: Any, using: str, **_: object) -> None:
        """Drop what these values and the new ones make outdated."""
        before = instance.__dict__.pop(self._slot, None)
        self._drop([before, self._held(instance) or self._stored(instance, using)], using)

    def before_delete(self, instance: Any, using: str, origin: object = None, **_: object) -> None:
        """Drop what its values make outdated; what a cascade or a query deletes has just been read."""
        is_fresh = origin is not None and origin is not instance
        self._drop([(self._held(instance) if is_fresh else None) or self._stored(instance, using)], using)

    def _held(self, instance: Any) -> tuple[object, ...] | None:
        """Return the values of an instance; none if they are deferred, or for the database to work out."""
        values = [instance.__dict__.get(name, instance) for name in self._attributes]
        is_known = not any(value is instance or hasattr(value, "resolve_expression") for value in values)
        return tuple(values) if is_known else None

    def _stored(self, instance: Any, using: str) -> tuple[object, ...] | None:
        """Return the values in the database, locked in a transaction, so that they stay the old ones."""
        rows = self._model._base_manager.using(using).filter(pk=instance.pk)  # noqa: SLF001 - documented
        if connections[using].in_atomic_block:
            rows = rows.select_for_update()
        return next(iter(rows.values_list(*self._attributes)), None)

    def _drop(self, rows: Sequence[tuple[object, ...] | None], using: str) -> None:
        for values in dict.fromkeys(filter(None, rows)):
            clients.standing(self._client).drop_on_commit(self._names, values, using=using)
