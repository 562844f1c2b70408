"""The table of drivers: what `driver` collects, which `drivers` fills and `harness` asks."""

import importlib.metadata
import importlib.util
import inspect

WAYS = ("threads", "gevent", "eventlet", "asyncio")
TABLE = {}


class Driver:
    """A driver: what it needs, and how it asks, in the usual way or as a coroutine."""

    def __init__(self, install, packages, imports, tarpit, ways, prepares):
        self.install = install.split()
        self.packages = packages.split()
        self.imports = imports.split()
        self.tarpit = tarpit
        self.ways = ways.split()
        self.prepares = prepares
        self.asks = {}

    def ask(self, way):
        """The function for a way: the coroutine where there is a loop of asyncio, else the usual one, where there are both."""
        first, second = ("async", "sync") if way == "asyncio" else ("sync", "async")
        return self.asks.get(first) or self.asks[second]

    def missing(self):
        """The first module that cannot be found; None: all are there."""
        for name in self.imports:
            try:
                if importlib.util.find_spec(name) is None:
                    return name
            except (ImportError, ValueError):
                return name
        return None

    def versions(self):
        """The versions of the distributions, where they are installed."""
        versions = {}
        for name in self.install:
            name = name.split("[")[0]
            try:
                versions[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                pass
        return versions


def driver(name, install="", packages="", imports="", tarpit=None, ways=" ".join(WAYS), prepares=False):
    """Enters a function as a driver, or as the other form of one: `install` from PyPI, `packages` of Debian, modules to import, a tarpit,
    and the ways in which it is asked. Without a tarpit it is the other form.
    `prepares`: the function itself says when its wait begins, by `at.begins()`."""

    def enter(function):
        if tarpit is not None:
            if name in TABLE:
                raise ValueError(f"{name} is there twice")
            TABLE[name] = Driver(install, packages, imports, tarpit, ways, prepares)
        form = "async" if inspect.iscoroutinefunction(function) else "sync"
        if form in TABLE[name].asks:
            raise ValueError(f"{name} asks twice as {form}")
        TABLE[name].asks[form] = function
        return function

    return enter
