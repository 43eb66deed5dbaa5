"""Settings, with servers from the environment: MYSQL_URL and REDIS_URL."""

import os
from urllib.parse import unquote, urlsplit

mysql = urlsplit(os.environ.get("MYSQL_URL", "mysql://root@localhost:3306/shop"))

SECRET_KEY = os.environ.get("SECRET_KEY", "an example's")
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["mysql_redis_cache.contrib.django", "shop"]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.mysql",
        "NAME": mysql.path[1:],
        "USER": unquote(mysql.username or ""),
        "PASSWORD": unquote(mysql.password or ""),
        "HOST": mysql.hostname or "",
        "PORT": mysql.port or "",
        "CONN_MAX_AGE": 60,
        "OPTIONS": {"charset": "utf8mb4"},
    }
}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": os.environ.get("REDIS_URL", "redis://localhost:6379/0"),
    }
}
MRC = {"default": {"DATABASE": "default", "CACHE": "default", "INDEX": True, "TABLE_TAGS": True}}
