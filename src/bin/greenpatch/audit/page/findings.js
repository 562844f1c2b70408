// The findings, each with its stacks.
const cards = new Map();

function reveal(id) {
  const card = cards.get(id);
  if (!card) return;
  card.hidden = false;
  card.open = true;
  card.scrollIntoView({ block: "center" });
  card.querySelector("summary").focus();
}

function findings() {
  const own = section(
    "findings",
    "Findings",
    "Calls of the threshold or longer, by call, place and Python line, the gravest first. The longest of each is told whole.",
  );
  if (!report.findings.length) {
    own.append(el("p", { class: "empty" }, `Nothing waited for ${duration(report.threshold_s)} or longer.`));
    return;
  }
  const verdicts = [...new Set(report.findings.map((finding) => finding.verdict))];
  const off = new Set();
  if (verdicts.length > 1) {
    own.querySelector(".head").append(
      ...verdicts.map((verdict) => {
        const count = report.findings.filter((finding) => finding.verdict === verdict).length;
        const button = el(
          "button",
          {
            "aria-pressed": "true",
            onclick: () => {
              off.has(verdict) ? off.delete(verdict) : off.add(verdict);
              button.setAttribute("aria-pressed", String(!off.has(verdict)));
              own.querySelectorAll("details.finding").forEach((card) => (card.hidden = off.has(card.dataset.verdict)));
            },
          },
          `${verdict} ${count}`,
        );
        return button;
      }),
    );
  }
  own.append(
    el("div", { class: "columns" }, ...["verdict", "call", "longest", "in all", "calls"].map((words) => el("span", {}, words))),
  );
  report.findings.forEach((finding, index) => own.append(card(finding, index === 0)));
}

function card(finding, open) {
  const line = finding.python_stack[0];
  const where = line
    ? `${short(line.file)}:${line.line} ${line.function}`
    : finding.native_stack.length
      ? place(finding.native_stack[0])
      : "";
  const state = finding.state === "new" ? "" : finding.state === "known" ? " · known" : ` · suppressed: ${finding.suppressed_because}`;
  const number = (words, value) => el("span", { class: "number" }, el("small", {}, words + " "), value);
  const made = el(
    "details",
    { class: "finding", "data-id": finding.id, "data-verdict": finding.verdict },
    el(
      "summary",
      {},
      el("span", {}, chip(finding.verdict)),
      el(
        "span",
        { class: "what" },
        el("b", {}, finding.call),
        about(finding.fd) && ` ${about(finding.fd)}`,
        el("small", {}, [finding.library.soname, where].filter(Boolean).join(" · ") + state),
      ),
      el(
        "span",
        { class: "numbers" },
        number("longest", duration(finding.worst_s)),
        number("in all", duration(finding.total_s)),
        number("calls", finding.count.toLocaleString("en")),
      ),
    ),
  );
  const fill = () => made.childElementCount === 1 && made.append(body(finding));
  made.addEventListener("toggle", () => made.open && fill());
  if (open) {
    fill();
    made.open = true;
  }
  if (!cards.has(finding.id)) cards.set(finding.id, made);
  return made;
}

function body(finding) {
  const facts = [];
  const fact = (words, value) => value && facts.push(el("dt", {}, words), el("dd", {}, value));
  fact("what it means", MEANINGS[finding.verdict]);
  const advice = report.libraries.find((known) => known.path === finding.library.path && known.soname === finding.library.soname);
  fact("what to do", FAULTS.includes(finding.verdict) && advice && advice.advice && quoted(advice.advice));
  fact("library", [finding.library.soname || "(unknown)", finding.library.package, finding.library.path].filter(Boolean).join(" · "));
  const fd = finding.fd;
  fact(
    "descriptor",
    fd &&
      [fd.number === null ? "" : String(fd.number), fd.kind, fd.local && `from ${fd.local}`, fd.peer && `to ${fd.peer}`, fd.path]
        .filter(Boolean)
        .join(" "),
  );
  fact(
    "no processor",
    finding.no_cpu_s >= 1e-3 && `${duration(finding.no_cpu_s)} in all: the thread was ready; ${duration(finding.worst_no_cpu_s)} of the longest`,
  );
  fact(
    "timeout",
    finding.may_wait_for_ever ? "none: it may wait for ever" : finding.timeout_s === null ? "" : duration(finding.timeout_s),
  );
  fact("result", `${finding.result}${finding.errno === null ? "" : `, errno ${finding.errno}`}`);
  fact("slices", finding.slices > finding.count && `${many(finding.slices, "short wait", "short waits")} that add up`);
  fact("durations", `half below ${duration(finding.p50_s)}, 99 of 100 below ${duration(finding.p99_s)}`);
  fact(
    "Python's lock",
    finding.gil === "none"
      ? ""
      : `${finding.gil} (held in ${many(finding.gil_held, "call", "calls")}, released in ${finding.gil_released}; ` +
        `back after ${duration(finding.gil_reacquire_s)} at most)`,
  );
  fact(
    "thread",
    `${finding.thread.name} ${finding.thread.tid} of process ${finding.process}${finding.threads > 1 ? `, one of ${finding.threads}` : ""}`,
  );
  fact("identity", el("code", {}, finding.id));
  const stacks = el("div", { class: "stacks" });
  if (finding.python_stack.length) {
    stacks.append(
      el(
        "div",
        {},
        el("h3", {}, "Python, the innermost first"),
        el(
          "ol",
          { class: "stack python" },
          finding.python_stack.map((frame) => el("li", {}, frame.function, " ", el("small", {}, `${frame.file}:${frame.line}`))),
        ),
      ),
    );
  }
  if (finding.native_stack.length) {
    stacks.append(
      el(
        "div",
        {},
        el("h3", {}, "Native, the innermost first"),
        el(
          "ol",
          { class: "stack native" },
          finding.native_stack.map((frame) => el("li", {}, place(frame), " ", el("small", {}, frame.function ? frame.soname : ""))),
        ),
      ),
    );
  }
  return el("div", { class: "body" }, el("dl", {}, facts), stacks);
}
