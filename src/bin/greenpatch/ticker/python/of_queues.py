"""Queues and brokers. The rules: drivers.py."""

from table import driver


# Queues


@driver("pika", install="pika", imports="pika", tarpit="amqp")
def pika(at):
    import pika

    parameters = pika.ConnectionParameters(at.host, at.port, blocked_connection_timeout=2 * at.seconds)
    pika.BlockingConnection(parameters).channel().queue_declare("a")


@driver("amqp", install="amqp", imports="amqp", tarpit="amqp")
def amqp(at):
    import amqp

    connection = amqp.Connection(f"{at.host}:{at.port}", connect_timeout=5)
    connection.connect()
    connection.channel().queue_declare("a")


@driver("kombu", install="kombu", imports="kombu", tarpit="amqp")
def kombu(at):
    import kombu

    kombu.Connection(f"amqp://a:b@{at.host}:{at.port}//").SimpleQueue("a")


@driver("aio-pika", install="aio-pika", imports="aio_pika", tarpit="amqp")
async def aio_pika(at):
    import aio_pika

    connection = await aio_pika.connect(host=at.host, port=at.port)
    await (await connection.channel()).declare_queue("a")


@driver("confluent-kafka", install="confluent-kafka", imports="confluent_kafka", tarpit="silent")
def confluent_kafka(at):
    from confluent_kafka.admin import AdminClient

    AdminClient({"bootstrap.servers": f"{at.host}:{at.port}", "log_level": 0}).list_topics(timeout=at.seconds)


@driver("kafka-python", install="kafka-python", imports="kafka", tarpit="silent")
def kafka(at):
    import kafka

    kafka.KafkaConsumer(bootstrap_servers=f"{at.host}:{at.port}").topics()


@driver("aiokafka", install="aiokafka", imports="aiokafka", tarpit="silent")
async def aiokafka(at):
    import aiokafka

    await aiokafka.AIOKafkaProducer(bootstrap_servers=f"{at.host}:{at.port}").start()


@driver("pulsar-client", install="pulsar-client", imports="pulsar", tarpit="silent")
def pulsar(at):
    import pulsar

    pulsar.Client(f"pulsar://{at.host}:{at.port}", operation_timeout_seconds=5).create_producer("a")


@driver("nats-py", install="nats-py", imports="nats", tarpit="nats")
async def nats(at):
    import nats

    connection = await nats.connect(f"nats://{at.host}:{at.port}", allow_reconnect=False)
    await connection.request("a", b"", timeout=at.seconds)


@driver("stomp.py", install="stomp.py", imports="stomp", tarpit="silent")
def stomp(at):
    import stomp

    stomp.Connection11([(at.host, at.port)], reconnect_attempts_max=1).connect("a", "b", wait=True)


@driver("paho-mqtt", install="paho-mqtt", imports="paho.mqtt.client", tarpit="mqtt")
def paho(at):
    import paho.mqtt.client as mqtt

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.connect(at.host, at.port)
    while client.loop(timeout=at.seconds) == mqtt.MQTT_ERR_SUCCESS:
        pass


@driver("kazoo", install="kazoo", imports="kazoo.client", tarpit="silent")
def kazoo(at):
    from kazoo.client import KazooClient

    handler = None
    if at.way == "gevent":
        from kazoo.handlers.gevent import SequentialGeventHandler as handler
    elif at.way == "eventlet":
        from kazoo.handlers.eventlet import SequentialEventletHandler as handler
    KazooClient(f"{at.host}:{at.port}", handler=handler and handler()).start(timeout=at.seconds)


@driver("pyzmq", install="pyzmq", imports="zmq", tarpit="silent")
def zmq(at):
    import zmq

    ask_zmq(zmq, at)


@driver("pyzmq (zmq.green)", install="pyzmq", imports="zmq", tarpit="silent", ways="gevent")
def zmq_green(at):
    import zmq.green

    ask_zmq(zmq.green, at)


def ask_zmq(zmq, at):
    socket = zmq.Context.instance().socket(zmq.REQ)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RCVTIMEO, int(1000 * at.seconds))
    socket.connect(f"tcp://{at.host}:{at.port}")
    socket.send(b"a")
    socket.recv()


@driver("pyzmq")
async def zmq_async(at):
    import asyncio

    import zmq.asyncio

    socket = zmq.asyncio.Context.instance().socket(zmq.REQ)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(f"tcp://{at.host}:{at.port}")
    await socket.send(b"a")
    await asyncio.wait_for(socket.recv(), at.seconds)


@driver("pynng", install="pynng", imports="pynng", tarpit="silent")
def pynng(at):
    import pynng

    socket = pynng.Req0(recv_timeout=int(1000 * at.seconds), send_timeout=int(1000 * at.seconds))
    socket.dial(f"tcp://{at.host}:{at.port}", block=False)
    socket.send(b"a")
    socket.recv()
