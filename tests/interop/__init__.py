"""Interop with the npm package @actvalue/mysql-redis-cache, for real and both ways."""
