"""A shop: users and their orders, read through the cache."""

import os

import pymysql

if os.environ.get("MYSQL_DRIVER") != "mysqlclient":  # PyMySQL stands in for it
    pymysql.install_as_MySQLdb()
