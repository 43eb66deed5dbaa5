"""What a framework needs to feel at home.

Each module imports its framework and the faces, nothing imports them.
"""

__all__: list[str] = []
