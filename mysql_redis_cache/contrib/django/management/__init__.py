"""What ``manage.py`` finds here."""

__all__: list[str] = []
