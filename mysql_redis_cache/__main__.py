"""``python -m mysql_redis_cache``: the command line."""

from mysql_redis_cache.cli import main

if __name__ == "__main__":
    main("python -m mysql_redis_cache")
