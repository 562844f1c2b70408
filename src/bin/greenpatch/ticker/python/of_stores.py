"""Stores of keys, documents, columns, graphs and time, and locks within the machine. The rules: drivers.py."""

from table import driver

SQL = "select 1"


# Redis, memcached, Tarantool, Aerospike


@driver("redis", install="redis", imports="redis", tarpit="redis")
def redis(at):
    import redis

    redis.Redis(at.host, at.port).get("a")


@driver("redis")
async def redis_async(at):
    import redis.asyncio

    await redis.asyncio.Redis(host=at.host, port=at.port).get("a")


@driver("redis + hiredis", install="redis hiredis", imports="redis hiredis", tarpit="redis")
def redis_hiredis(at):
    redis(at)


@driver("redis + hiredis")
async def redis_hiredis_async(at):
    await redis_async(at)


@driver("valkey", install="valkey", imports="valkey", tarpit="redis")
def valkey(at):
    import valkey

    valkey.Valkey(at.host, at.port).get("a")


@driver("valkey")
async def valkey_async(at):
    import valkey.asyncio

    await valkey.asyncio.Valkey(host=at.host, port=at.port).get("a")


@driver("pylibmc", install="pylibmc", packages="libmemcached-dev zlib1g-dev gcc", imports="pylibmc", tarpit="memcached")
def pylibmc(at):
    import pylibmc

    pylibmc.Client([f"{at.host}:{at.port}"], behaviors={"receive_timeout": int(2e6 * at.seconds)}).get("a")


@driver("pymemcache", install="pymemcache", imports="pymemcache", tarpit="memcached")
def pymemcache(at):
    from pymemcache.client.base import Client

    Client((at.host, at.port)).get("a")


@driver("python-memcached", install="python-memcached", imports="memcache", tarpit="memcached")
def memcache(at):
    import memcache

    memcache.Client([f"{at.host}:{at.port}"], socket_timeout=2 * at.seconds).get("a")


@driver("aiomcache", install="aiomcache", imports="aiomcache", tarpit="memcached")
async def aiomcache(at):
    import aiomcache

    await aiomcache.Client(at.host, at.port).get(b"a")


@driver("tarantool", install="tarantool", imports="tarantool", tarpit="silent")
def tarantool(at):
    import tarantool

    tarantool.Connection(at.host, at.port)


@driver("aerospike", install="aerospike", imports="aerospike", tarpit="silent")
def aerospike(at):
    import aerospike

    aerospike.client({"hosts": [(at.host, at.port)]})


# Documents, columns, graphs, time


@driver("pymongo", install="pymongo", imports="pymongo", tarpit="silent")
def pymongo(at):
    import pymongo

    pymongo.MongoClient(at.host, at.port, serverSelectionTimeoutMS=int(2000 * at.seconds)).a.b.find_one()


@driver("pymongo")
async def pymongo_async(at):
    import pymongo

    await pymongo.AsyncMongoClient(at.host, at.port, serverSelectionTimeoutMS=int(2000 * at.seconds)).a.b.find_one()


@driver("motor", install="motor", imports="motor", tarpit="silent")
async def motor(at):
    import motor.motor_asyncio

    client = motor.motor_asyncio.AsyncIOMotorClient(at.host, at.port, serverSelectionTimeoutMS=int(2000 * at.seconds))
    await client.a.b.find_one()


@driver("cassandra-driver", install="cassandra-driver", packages="libev-dev gcc", imports="cassandra.cluster", tarpit="silent")
def cassandra(at):
    from cassandra.cluster import Cluster

    Cluster([at.host], port=at.port, connect_timeout=2 * at.seconds).connect()


@driver("couchbase", install="couchbase", imports="couchbase", tarpit="silent")
def couchbase(at):
    from couchbase.auth import PasswordAuthenticator
    from couchbase.cluster import Cluster
    from couchbase.options import ClusterOptions

    Cluster(f"couchbase://{at.host}:{at.port}", ClusterOptions(PasswordAuthenticator("a", "b")))


@driver("clickhouse-driver", install="clickhouse-driver", imports="clickhouse_driver", tarpit="silent")
def clickhouse_driver(at):
    import clickhouse_driver

    clickhouse_driver.Client(at.host, port=at.port).execute(SQL)


@driver("clickhouse-connect", install="clickhouse-connect", imports="clickhouse_connect", tarpit="http")
def clickhouse_connect(at):
    import clickhouse_connect

    clickhouse_connect.get_client(host=at.host, port=at.port)


@driver("neo4j", install="neo4j", imports="neo4j", tarpit="silent")
def neo4j(at):
    import neo4j

    with neo4j.GraphDatabase.driver(f"bolt://{at.host}:{at.port}", auth=("a", "b")) as graph:
        graph.verify_connectivity()


@driver("neo4j")
async def neo4j_async(at):
    import neo4j

    async with neo4j.AsyncGraphDatabase.driver(f"bolt://{at.host}:{at.port}", auth=("a", "b")) as graph:
        await graph.verify_connectivity()


@driver("influxdb-client", install="influxdb-client", imports="influxdb_client", tarpit="http")
def influxdb(at):
    import influxdb_client

    influxdb_client.InfluxDBClient(f"http://{at.host}:{at.port}", token="a", org="b").buckets_api().find_buckets()


@driver("elasticsearch", install="elasticsearch", imports="elasticsearch", tarpit="http")
def elasticsearch(at):
    import elasticsearch

    elasticsearch.Elasticsearch(f"http://{at.host}:{at.port}", max_retries=0).info()


@driver("elasticsearch")
async def elasticsearch_async(at):
    import elasticsearch

    await elasticsearch.AsyncElasticsearch(f"http://{at.host}:{at.port}", max_retries=0).info()


@driver("opensearch-py", install="opensearch-py", imports="opensearchpy", tarpit="http")
def opensearch(at):
    import opensearchpy

    opensearchpy.OpenSearch(f"http://{at.host}:{at.port}", max_retries=0).info()


@driver("trino", install="trino", imports="trino", tarpit="http")
def trino(at):
    import trino

    trino.dbapi.connect(host=at.host, port=at.port, user="a", max_attempts=1).cursor().execute(SQL)


# Within the process: a lock of a file, not a server


@driver("sqlite3", imports="sqlite3", tarpit="none", prepares=True)
def sqlite3(at):
    import os
    import sqlite3
    import tempfile

    file = os.path.join(tempfile.mkdtemp(), "locked")
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("begin exclusive")
    at.begins()
    sqlite3.connect(file, timeout=at.seconds).execute("create table a (b)")


@driver("lmdb", install="lmdb", imports="lmdb", tarpit="none", prepares=True)
def lmdb(at):
    import subprocess
    import sys
    import tempfile

    import lmdb

    folder = tempfile.mkdtemp()
    holds = "import lmdb, sys, time; t = lmdb.open(sys.argv[1]).begin(write=True); print(1, flush=True); time.sleep(float(sys.argv[2]))"
    # Another process holds the lock: natively, and without what is preloaded here.
    words = [sys.executable, "-c", holds, folder, str(at.seconds + 0.5)]
    holder = subprocess.Popen(words, stdout=subprocess.PIPE, env={})
    holder.stdout.readline()
    at.begins()
    lmdb.open(folder).begin(write=True)
