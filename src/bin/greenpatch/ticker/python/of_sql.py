"""SQL databases: PostgreSQL, MySQL and MariaDB, SQL Server, ODBC, Oracle, Firebird. The rules: drivers.py."""

from table import driver

SQL = "select 1"


# PostgreSQL


@driver("psycopg2", install="psycopg2-binary", imports="psycopg2", tarpit="postgresql")
def psycopg2(at):
    import psycopg2

    psycopg2.connect(host=at.host, port=at.port, user="a", password="b", dbname="c").cursor().execute(SQL)


GREEN = dict(imports="psycopg2 psycogreen", tarpit="postgresql", ways="gevent eventlet")


@driver("psycopg2 + psycogreen", install="psycopg2-binary psycogreen", **GREEN)
def psycopg2_green(at):
    if at.way == "gevent":
        from psycogreen.gevent import patch_psycopg
    else:
        from psycogreen.eventlet import patch_psycopg
    patch_psycopg()
    psycopg2(at)


@driver("psycopg", install="psycopg[binary]", imports="psycopg", tarpit="postgresql")
def psycopg(at):
    import psycopg

    psycopg.connect(f"host={at.host} port={at.port} user=a password=b dbname=c").execute(SQL)


@driver("psycopg")
async def psycopg_async(at):
    import psycopg

    connection = await psycopg.AsyncConnection.connect(f"host={at.host} port={at.port} user=a password=b dbname=c")
    await connection.execute(SQL)


@driver("asyncpg", install="asyncpg", imports="asyncpg", tarpit="postgresql")
async def asyncpg(at):
    import asyncpg

    connection = await asyncpg.connect(host=at.host, port=at.port, user="a", password="b", database="c", ssl=False)
    await connection.execute(SQL)


@driver("pg8000", install="pg8000", imports="pg8000", tarpit="postgresql")
def pg8000(at):
    import pg8000.native

    pg8000.native.Connection("a", host=at.host, port=at.port, password="b", database="c").run(SQL)


@driver("aiopg", install="aiopg psycopg2-binary", imports="aiopg", tarpit="postgresql")
async def aiopg(at):
    import aiopg

    connection = await aiopg.connect(host=at.host, port=at.port, user="a", password="b", dbname="c")
    await (await connection.cursor()).execute(SQL)


# MySQL and MariaDB


@driver("mysqlclient", install="mysqlclient", packages="libmariadb-dev gcc pkg-config", imports="MySQLdb", tarpit="mysql")
def mysqlclient(at):
    import MySQLdb

    MySQLdb.connect(host=at.host, port=at.port, user="a", passwd="b").cursor().execute(SQL)


@driver("mariadb", install="mariadb", packages="libmariadb-dev gcc", imports="mariadb", tarpit="mysql")
def mariadb(at):
    import mariadb

    mariadb.connect(host=at.host, port=at.port, user="a", password="b").cursor().execute(SQL)


@driver("PyMySQL", install="PyMySQL", imports="pymysql", tarpit="mysql")
def pymysql(at):
    import pymysql

    pymysql.connect(host=at.host, port=at.port, user="a", password="b").cursor().execute(SQL)


@driver("mysql-connector-python", install="mysql-connector-python", imports="mysql.connector", tarpit="mysql")
def mysql_connector(at):
    import mysql.connector

    connection = mysql.connector.connect(host=at.host, port=at.port, user="a", password="b", ssl_disabled=True)
    connection.cursor().execute(SQL)


@driver("aiomysql", install="aiomysql", imports="aiomysql", tarpit="mysql")
async def aiomysql(at):
    import aiomysql

    connection = await aiomysql.connect(host=at.host, port=at.port, user="a", password="b")
    await (await connection.cursor()).execute(SQL)


@driver("asyncmy", install="asyncmy", packages="gcc", imports="asyncmy", tarpit="mysql")
async def asyncmy(at):
    import asyncmy

    connection = await asyncmy.connect(host=at.host, port=at.port, user="a", password="b")
    await connection.cursor().execute(SQL)


# SQL Server, ODBC, Oracle, Firebird


@driver("pymssql", install="pymssql", imports="pymssql", tarpit="tds")
def pymssql(at):
    import pymssql

    pymssql.connect(server=at.host, port=str(at.port), user="a", password="b", tds_version="7.3").cursor().execute(SQL)


@driver("python-tds", install="python-tds", imports="pytds", tarpit="tds")
def pytds(at):
    import pytds

    pytds.connect(dsn=at.host, port=at.port, user="a", password="b").cursor().execute(SQL)


ODBC = "DRIVER=FreeTDS;SERVER={0.host};PORT={0.port};UID=a;PWD=b;TDS_Version=7.3"


@driver("pyodbc (FreeTDS)", install="pyodbc", packages="tdsodbc unixodbc", imports="pyodbc", tarpit="tds")
def pyodbc(at):
    import pyodbc

    pyodbc.connect(ODBC.format(at)).cursor().execute(SQL)


@driver("pyodbc (psqlODBC)", install="pyodbc", packages="odbc-postgresql unixodbc", imports="pyodbc", tarpit="postgresql")
def pyodbc_postgresql(at):
    import pyodbc

    words = f"DRIVER=PostgreSQL Unicode;SERVER={at.host};PORT={at.port};UID=a;PWD=b;DATABASE=c"
    pyodbc.connect(words).cursor().execute(SQL)


@driver("aioodbc (FreeTDS)", install="aioodbc", packages="tdsodbc unixodbc", imports="aioodbc", tarpit="tds")
async def aioodbc(at):
    import aioodbc

    connection = await aioodbc.connect(dsn=ODBC.format(at))
    await (await connection.cursor()).execute(SQL)


@driver("oracledb (thin)", install="oracledb", imports="oracledb", tarpit="silent")
def oracledb(at):
    import oracledb

    oracledb.connect(user="a", password="b", dsn=f"{at.host}:{at.port}/c")


@driver("oracledb (thin)")
async def oracledb_async(at):
    import oracledb

    await oracledb.connect_async(user="a", password="b", dsn=f"{at.host}:{at.port}/c")


@driver("firebird-driver", install="firebird-driver", packages="libfbclient2", imports="firebird.driver", tarpit="silent")
def firebird(at):
    from firebird.driver import connect

    connect(f"inet://{at.host}:{at.port}/c", user="a", password="b")


@driver("ibm_db", install="ibm_db", imports="ibm_db", tarpit="silent")
def ibm_db(at):
    import ibm_db

    ibm_db.connect(f"DATABASE=c;HOSTNAME={at.host};PORT={at.port};PROTOCOL=TCPIP;UID=a;PWD=b;", "", "")
