"""The name of a storage in messages and reports. Imports nothing, for the command line."""

__all__ = ["storage_name"]


def storage_name(storage: str) -> str:
    """Return a storage as messages name it, without password and options.

    >>> storage_name("postgresql://me:secret@db.example/trials?sslmode=require")
    'postgresql://me@db.example/trials'
    """
    scheme, separator, rest = storage.partition("://")
    if not separator:
        return storage
    access, at, place = rest.partition("?")[0].rpartition("@")
    return f"{scheme}://{access.partition(':')[0]}{at}{place}"
