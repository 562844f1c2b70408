"""Directories, names, shells, mail, files, HTTP and what lies upon it, and the standard library. The rules: drivers.py."""

from table import driver


# Directories, names, shells, mail, files


@driver("python-ldap", install="python-ldap", packages="libldap2-dev libsasl2-dev gcc", imports="ldap", tarpit="ldap")
def ldap(at):
    import ldap

    connection = ldap.initialize(f"ldap://{at.host}:{at.port}")
    connection.simple_bind_s("cn=a", "b")
    connection.search_s("dc=a", ldap.SCOPE_SUBTREE)


@driver("ldap3", install="ldap3", imports="ldap3", tarpit="ldap")
def ldap3(at):
    import ldap3

    server = ldap3.Server(at.host, at.port, get_info=ldap3.NONE)
    ldap3.Connection(server, "cn=a", "b", auto_bind=True, receive_timeout=int(2 * at.seconds)).search("dc=a", "(a=*)")


@driver("bonsai", install="bonsai", packages="libldap2-dev libsasl2-dev gcc", imports="bonsai", tarpit="ldap")
def bonsai(at):
    import bonsai

    bonsai.LDAPClient(f"ldap://{at.host}:{at.port}").connect().search("dc=a", 2)


@driver("bonsai")
async def bonsai_async(at):
    import bonsai

    connection = await bonsai.LDAPClient(f"ldap://{at.host}:{at.port}").connect(is_async=True)
    await connection.search("dc=a", 2)


@driver("dnspython", install="dnspython", imports="dns.query", tarpit="silent")
def dnspython(at):
    import dns.message
    import dns.query

    dns.query.udp(dns.message.make_query("example.org", "A"), at.host, port=at.port, timeout=at.seconds)


@driver("dnspython")
async def dnspython_async(at):
    import dns.asyncquery
    import dns.message

    await dns.asyncquery.udp(dns.message.make_query("example.org", "A"), at.host, port=at.port, timeout=at.seconds)


@driver("pycares", install="pycares", imports="pycares", tarpit="silent")
def pycares(at):
    import threading

    import pycares

    answered = threading.Event()
    channel = pycares.Channel(servers=[at.host], udp_port=at.port, tcp_port=at.port, timeout=at.seconds, tries=1)
    channel.query("example.org", pycares.QUERY_TYPE_A, callback=lambda *answer: answered.set())
    answered.wait(2 * at.seconds)


@driver("aiodns", install="aiodns", imports="aiodns", tarpit="silent")
async def aiodns(at):
    import aiodns

    resolver = aiodns.DNSResolver([at.host], udp_port=at.port, tcp_port=at.port, timeout=at.seconds, tries=1)
    await resolver.query("example.org", "A")


@driver("paramiko", install="paramiko", imports="paramiko", tarpit="ssh")
def paramiko(at):
    import paramiko

    client = paramiko.SSHClient()
    client.connect(at.host, at.port, "a", "b", look_for_keys=False, allow_agent=False)


@driver("asyncssh", install="asyncssh", imports="asyncssh", tarpit="ssh")
async def asyncssh(at):
    import asyncssh

    await asyncssh.connect(at.host, at.port, username="a", password="b", known_hosts=None)


@driver("ssh2-python", install="ssh2-python", imports="ssh2", tarpit="ssh")
def ssh2(at):
    import socket

    from ssh2.session import Session

    connection = socket.create_connection((at.host, at.port))
    Session().handshake(connection)


@driver("smtplib", imports="smtplib", tarpit="smtp")
def smtplib(at):
    import smtplib

    smtplib.SMTP(at.host, at.port, "a").sendmail("a@a", "b@b", "c")


@driver("aiosmtplib", install="aiosmtplib", imports="aiosmtplib", tarpit="smtp")
async def aiosmtplib(at):
    import aiosmtplib

    async with aiosmtplib.SMTP(hostname=at.host, port=at.port, start_tls=False, local_hostname="a") as client:
        await client.sendmail("a@a", ["b@b"], "c")


@driver("smbprotocol", install="smbprotocol", imports="smbclient", tarpit="silent")
def smb(at):
    import smbclient

    smbclient.register_session(at.host, username="a", password="b", port=at.port, connection_timeout=2 * at.seconds)


# HTTP, and what lies upon it


@driver("http.client", imports="http.client", tarpit="http")
def http_client(at):
    import http.client

    connection = http.client.HTTPConnection(at.host, at.port)
    connection.request("GET", "/")
    connection.getresponse().read()


@driver("requests", install="requests", imports="requests", tarpit="http")
def requests(at):
    import requests

    requests.get(f"http://{at.host}:{at.port}/")


@driver("urllib3", install="urllib3", imports="urllib3", tarpit="http")
def urllib3(at):
    import urllib3

    urllib3.PoolManager(retries=False).request("GET", f"http://{at.host}:{at.port}/")


@driver("httpx", install="httpx", imports="httpx", tarpit="http")
def httpx(at):
    import httpx

    httpx.get(f"http://{at.host}:{at.port}/", timeout=None)


@driver("httpx")
async def httpx_async(at):
    import httpx

    async with httpx.AsyncClient(timeout=None) as client:
        await client.get(f"http://{at.host}:{at.port}/")


@driver("aiohttp", install="aiohttp", imports="aiohttp", tarpit="http")
async def aiohttp(at):
    import aiohttp

    async with aiohttp.ClientSession() as session:
        await (await session.get(f"http://{at.host}:{at.port}/")).read()


@driver("tornado", install="tornado", imports="tornado.httpclient", tarpit="http")
async def tornado(at):
    from tornado.httpclient import AsyncHTTPClient

    await AsyncHTTPClient().fetch(f"http://{at.host}:{at.port}/")


@driver("pycurl", install="pycurl", imports="pycurl", tarpit="http")
def pycurl(at):
    import pycurl

    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, f"http://{at.host}:{at.port}/")
    curl.perform()


@driver("boto3", install="boto3", imports="boto3", tarpit="http", prepares=True)
def boto3(at):
    import boto3
    import botocore.config

    client = boto3.client(
        "s3",
        endpoint_url=f"http://{at.host}:{at.port}",
        region_name="a",
        aws_access_key_id="b",
        aws_secret_access_key="c",
        config=botocore.config.Config(retries={"max_attempts": 0}),
    )
    # What it has computed until here is not what it waits for.
    at.begins()
    client.list_buckets()


@driver("grpcio", install="grpcio", imports="grpc", tarpit="silent")
def grpc(at):
    ask_grpc(at)


def ask_grpc(at):
    import grpc

    grpc.insecure_channel(f"{at.host}:{at.port}").unary_unary("/a/b")(b"", timeout=at.seconds)


@driver("grpcio")
async def grpc_async(at):
    import grpc.aio

    await grpc.aio.insecure_channel(f"{at.host}:{at.port}").unary_unary("/a/b")(b"", timeout=at.seconds)


@driver("grpcio (init_gevent)", install="grpcio", imports="grpc", tarpit="silent", ways="gevent")
def grpc_gevent(at):
    import grpc.experimental.gevent

    grpc.experimental.gevent.init_gevent()
    ask_grpc(at)


@driver("thrift", install="thrift", imports="thrift", tarpit="silent")
def thrift(at):
    from thrift.protocol.TBinaryProtocol import TBinaryProtocol
    from thrift.transport import TSocket, TTransport

    transport = TTransport.TBufferedTransport(TSocket.TSocket(at.host, at.port))
    transport.open()
    TBinaryProtocol(transport).readMessageBegin()


@driver("websockets", install="websockets", imports="websockets", tarpit="silent")
def websockets(at):
    from websockets.sync.client import connect

    connect(f"ws://{at.host}:{at.port}/")


@driver("websockets")
async def websockets_async(at):
    import websockets

    await websockets.connect(f"ws://{at.host}:{at.port}/")


@driver("websocket-client", install="websocket-client", imports="websocket", tarpit="silent")
def websocket(at):
    import websocket

    websocket.create_connection(f"ws://{at.host}:{at.port}/")


# The standard library's own


@driver("socket", imports="socket", tarpit="silent")
def socket(at):
    import socket

    socket.create_connection((at.host, at.port)).recv(1)


@driver("socket")
async def socket_async(at):
    import asyncio

    reader, _ = await asyncio.open_connection(at.host, at.port)
    await reader.read(1)
