"""A shop: views that read through the cache, writes by Flask-SQLAlchemy, drops once those are committed.

::

    export MYSQL_URL=mysql://user:password@localhost/shop REDIS_URL=redis://localhost
    pip install 'mysql-redis-cache[cli]' Flask Flask-SQLAlchemy gunicorn
    flask --app examples/flask/shop init-db
    gunicorn --chdir examples/flask 'shop:create_app()'
    flask --app examples/flask/shop mrc ls
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, abort, current_app, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey, Numeric, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from mysql_redis_cache.contrib.flask import MRC
from mysql_redis_cache.contrib.sqlalchemy import after_commit

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue


class Base(DeclarativeBase):
    """The tables of the shop."""


class User(Base):
    """Somebody who orders."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    store_id: Mapped[int]


class Order(Base):
    """What somebody has ordered."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    total: Mapped[Decimal] = mapped_column(Numeric(9, 2))


@dataclass
class Revenue:
    """What the customers of a store have ordered."""

    orders: int
    total: Decimal


cache = MRC()
db = SQLAlchemy(model_class=Base)
shop = Blueprint("shop", __name__, cli_group=None)

USER = "SELECT id, name, store_id FROM users WHERE id = :UserId"
USERS = "SELECT id, name FROM users WHERE store_id = :StoreId ORDER BY id"
REVENUE = """
    SELECT COUNT(*) AS orders, COALESCE(SUM(orders.total), 0) AS total
    FROM orders JOIN users ON users.id = orders.user_id WHERE users.store_id = :StoreId
"""


@shop.get("/users/<int:user_id>")
def user(user_id: int) -> ResponseReturnValue:
    """One user."""
    return cache.query_with_cache(USER, {"UserId": user_id}, ttl=3600, one=True) or abort(404)


@shop.get("/stores/<int:store_id>/users")
def users(store_id: int) -> ResponseReturnValue:
    """The users of a store."""
    return cache.query_with_cache(USERS, {"StoreId": store_id}, ttl=3600)


@shop.get("/stores/<int:store_id>/revenue")
def revenue(store_id: int) -> ResponseReturnValue:
    """What they have ordered, with every digit."""
    found = cache.query_with_cache(
        REVENUE, {"StoreId": store_id}, ttl=3600, tags={"Table": "orders"}, into=Revenue, one=True
    )
    return {} if found is None else {"orders": found.orders, "total": str(found.total)}


@cache.cached("shop_greeting_v1", {"user_id": "UserId"}, ttl=3600)
def greeting(user_id: int) -> str:
    """A text that takes a while to write. The session would read it in a transaction, maybe an old one."""
    found = cache.query("SELECT name FROM users WHERE id = ?", [user_id], one=True)
    return f"Hello {found['name']}!" if found else "Hello!"


@shop.get("/users/<int:user_id>/greeting")
def greet(user_id: int) -> ResponseReturnValue:
    """A cached function at work."""
    return {"greeting": greeting(user_id)}


@shop.put("/users/<int:user_id>")
def rename(user_id: int) -> ResponseReturnValue:
    """Give a user a name: what is cached of the user and of the store is dropped after the COMMIT."""
    found = db.session.get(User, user_id, with_for_update=True) or abort(404)
    found.name = request.get_json()["name"]
    drops = after_commit(db.session, cache)
    drops.drop_outdated_cache(["UserId"], [user_id])
    drops.drop_outdated_cache(["StoreId"], [found.store_id])
    db.session.commit()
    return {"renamed": user_id}


@shop.post("/orders")
def order() -> ResponseReturnValue:
    """Take an order."""
    asked = request.get_json()
    db.session.add(Order(user_id=asked["user_id"], total=Decimal(asked["total"])))
    after_commit(db.session, cache).drop_outdated_cache(["Table"], ["orders"])
    db.session.commit()
    return {"ordered": asked["total"]}, 201


@shop.get("/stats")
def stats() -> ResponseReturnValue:
    """What the cache has done in this process."""
    return cache.stats().as_dict()


@shop.app_errorhandler(ConnectionError)
def away(error: ConnectionError) -> ResponseReturnValue:
    """MySQL is away and the answer not cached, or Redis is away and something was to be dropped."""
    current_app.logger.error("%s", error)
    return {"error": "try again later"}, 503, {"Retry-After": "5"}


@shop.cli.command("init-db")
def init_db() -> None:
    """Make the tables, with somebody in them."""
    Base.metadata.create_all(db.engine)
    db.session.merge(User(id=1, name="Ada", store_id=6))
    db.session.merge(User(id=2, name="Bob", store_id=6))
    db.session.commit()


def create_app() -> Flask:
    """Make the application, by the environment."""
    app = Flask(__name__)
    app.config["MRC_MYSQL"] = os.environ["MYSQL_URL"]
    app.config["MRC_REDIS"] = os.environ["REDIS_URL"]
    app.config["MRC_NAMESPACE"] = "shop"
    app.config["MRC_INDEX"] = True
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["MYSQL_URL"].replace("mysql://", "mysql+pymysql://")
    cache.init_app(app)
    db.init_app(app)
    app.register_blueprint(shop)
    return app
