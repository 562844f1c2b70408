"""Reads a report's outputs, each by a reader that is none of greenpatch's: `readers.py FORMAT FILE…` ends with 0, or says what is wrong.

Ends with 77 where the reader is not installed: python3-jsonschema, python3-prometheus-client, golang-go.
"""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def read_json(report, schema):
    import jsonschema

    schema = load(schema)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(load(report))


def read_folded(folded, report):
    total = 0
    with open(folded, encoding="utf-8") as file:
        for line in file:
            stack, us = line.rstrip("\n").rsplit(" ", 1)
            frames = stack.split(";")
            assert len(frames) >= 2 and all(frames), line
            total += int(us)
    findings = load(report)["findings"]
    known = sum(finding["total_s"] for finding in findings) * 1e6
    assert abs(total - known) <= len(findings), (total, known)
    return total


def read_speedscope(speedscope, folded, report):
    profile = load(speedscope)
    assert profile["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = profile["shared"]["frames"]
    assert all(frame["name"] for frame in frames)
    (only,) = profile["profiles"]
    assert (only["type"], only["unit"], only["startValue"]) == ("sampled", "microseconds", 0)
    assert len(only["samples"]) == len(only["weights"]) > 0
    assert all(0 <= at < len(frames) for sample in only["samples"] for at in sample)
    assert sum(only["weights"]) == only["endValue"] == read_folded(folded, report)


def read_perfetto(perfetto, report):
    events = load(perfetto)["traceEvents"]
    slices = [event for event in events if event["ph"] == "X"]
    named = {(event["name"], event["pid"], event["tid"]) for event in events if event["ph"] == "M"}
    until = {}
    for event in sorted(slices, key=lambda event: (event["ts"], -event["dur"])):
        track = (event["pid"], event["tid"])
        assert ("thread_name", *track) in named, event
        assert isinstance(event["ts"], int) and event["dur"] >= 0, event
        assert event["ts"] >= until.get(track, 0), event
        until[track] = event["ts"] + event["dur"]
    findings = [finding for finding in load(report)["findings"] if finding["verdict"] != "BUSY_POLLS"]
    calls = {finding["call"] for finding in findings}
    assert {event["name"] for event in slices} == calls, calls
    longest = max(event["dur"] for event in slices) / 1e6
    assert abs(longest - max(finding["worst_s"] for finding in findings)) < 1e-5


def read_pprof(pprof, report):
    def go(*words):
        try:
            return subprocess.run(["go", "tool", "pprof", *words, pprof], check=True, capture_output=True, text=True).stdout
        except FileNotFoundError as why:
            raise ImportError(why)

    raw = go("-raw")
    samples = re.findall(r"^ +(\d+) +(\d+): ([\d ]+)$", raw, re.M)
    findings = load(report)["findings"]
    assert "PeriodType: contentions count" in raw and "contentions/count delay/nanoseconds[dflt]" in raw, raw
    assert len(samples) == len(findings), raw
    assert sum(int(count) for count, _, _ in samples) == sum(finding["count"] for finding in findings)
    known = sum(finding["total_s"] for finding in findings)
    assert abs(sum(int(ns) for _, ns, _ in samples) / 1e9 - known) < 1e-6 * len(findings), raw
    # The leaf is first, and each location is told.
    locations = dict(re.findall(r"^ +(\d+): (0x.*)$", raw, re.M))
    leaves = {locations[stack.split()[0]].split()[1] for _, _, stack in samples}
    assert leaves == {finding["call"] for finding in findings}, leaves
    assert all(place in locations for _, _, stack in samples for place in stack.split()), raw
    lines = {int(line) for place in locations.values() for line in re.findall(r"waits\.py:(\d+) ", place)}
    assert {3, 5} <= lines, locations
    # What lies beyond the interpreter is told by its Python lines.
    objects = {library["path"]: library["build_id"] for library in (finding["library"] for finding in findings)}
    for path, build_id in objects.items():
        if "/python" in path:
            continue
        assert re.search(rf"^\d+: 0x0/0x[0-9a-f]+/0x0 {re.escape(path)} {build_id}", raw, re.M), (path, raw)
    top = go("-top", "-sample_index=contentions")
    assert "Type: contentions" in top and "usleep" in top, top
    assert "HOLDS_GIL" in go("-tags")


def read_firefox(firefox, report):
    profile = load(firefox)
    assert profile["meta"]["preprocessedProfileVersion"] >= 49, profile["meta"]
    schema = {schema["name"]: schema for schema in profile["meta"]["markerSchema"]}["greenpatch wait"]
    keys = {field["key"] for field in schema.get("fields", schema.get("data"))}
    findings = [finding for finding in load(report)["findings"] if finding["verdict"] != "BUSY_POLLS"]
    told, longest = set(), 0
    for thread in profile["threads"]:
        texts, markers, samples = thread["stringArray"], thread["markers"], thread["samples"]
        assert markers["length"] == samples["length"] == len(markers["data"]) == len(samples["stack"]) > 0
        assert samples["weightType"] == "tracing-ms"
        for name, data, begin, end in zip(markers["name"], markers["data"], markers["startTime"], markers["endTime"]):
            assert 0 <= begin < end and keys <= set(data), data
            told.add((texts[name], texts[data["verdict"]], texts[data["finding"]]))
            longest = max(longest, end - begin)
        for stack in samples["stack"]:
            depth = 0
            while stack is not None:
                place = texts[thread["funcTable"]["name"][thread["frameTable"]["func"][thread["stackTable"]["frame"][stack]]]]
                assert place, stack
                # Stacks lead from the call to the program.
                stack, depth = thread["stackTable"]["prefix"][stack], depth + 1
            assert depth >= 2
    assert told == {(finding["call"], finding["verdict"], finding["id"]) for finding in findings}, told
    assert abs(longest / 1e3 - max(finding["worst_s"] for finding in findings)) < 1e-5


def read_junit(junit, report):
    suites = xml.etree.ElementTree.parse(junit).getroot()
    assert suites.tag == "testsuites"
    (suite,) = suites
    cases = suite.findall("testcase")
    by_id = {finding["id"]: finding for finding in load(report)["findings"]}
    assert len(cases) == len(by_id) == int(suite.get("tests"))
    failed = {case.get("name").split()[-1] for case in cases if case.find("failure") is not None}
    faults = {id for id, finding in by_id.items() if finding["verdict"] in ("HOLDS_GIL", "BLOCKS_LOOP")}
    assert failed == faults and int(suite.get("failures")) == len(faults) > 0, (failed, faults)
    assert any("waits.py" in case.find("failure").text for case in cases if case.find("failure") is not None)


def read_sarif(sarif, report):
    log = load(sarif)
    assert log["version"] == "2.1.0" and log["$schema"]
    (run,) = log["runs"]
    assert run["tool"]["driver"]["name"] == "greenpatch"
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    ids = {result["partialFingerprints"]["greenpatch/v1"] for result in run["results"]}
    assert ids <= {finding["id"] for finding in load(report)["findings"] if finding["python_stack"]}
    # On a busy machine other lines may wait as well.
    told = set()
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"] and result["message"]["text"], result
        assert result["level"] == ("error" if result["ruleId"] == "HOLDS_GIL" else "note"), result
        (location,) = result["locations"]
        place = location["physicalLocation"]
        told.add((place["artifactLocation"]["uri"], place["region"]["startLine"]))
    assert {("my%20code/waits.py", 3), ("my%20code/waits.py", 5)} <= told, told


def read_github(github, report):
    with open(github, encoding="utf-8") as file:
        lines = file.read().splitlines()
    faults = {
        finding["id"] for finding in load(report)["findings"]
        if finding["verdict"] in ("HOLDS_GIL", "BLOCKS_LOOP", "BUSY_POLLS")
    }
    assert len(lines) == len(faults) and all(line.startswith(("::error ", "::warning ")) for line in lines), lines
    assert any(line.startswith("::error file=my code/waits.py,line=5,title=HOLDS_GIL usleep::") for line in lines), lines


def read_gitlab(gitlab, report):
    issues = load(gitlab)
    assert len(issues) == len({issue["fingerprint"] for issue in issues}) >= 2, issues
    for issue in issues:
        assert issue["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert issue["description"] and issue["check_name"]
    told = {(issue["location"]["path"], issue["location"]["lines"]["begin"]) for issue in issues}
    assert {("my code/waits.py", 3), ("my code/waits.py", 5)} <= told, told


def read_openmetrics(openmetrics, report):
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    with open(openmetrics, encoding="utf-8") as file:
        families = {family.name: family for family in text_string_to_metric_families(file.read())}
    known = load(report)
    waits = families["greenpatch_wait_seconds"].samples
    assert abs(sum(sample.value for sample in waits) - sum(finding["total_s"] for finding in known["findings"])) < 1e-6
    assert families["greenpatch_calls"].samples[0].value == known["calls"]
    assert len(families["greenpatch_loop_lag_seconds"].samples) == 3 * len(known["loops"]) > 0


try:
    globals()[f"read_{sys.argv[1]}"](*sys.argv[2:])
except ImportError as why:
    print(why)
    sys.exit(77)
