// Draws the page from the top down: what it is, the libraries, the time, the flame graph, the findings, what was not seen.
function header() {
  document.title = `greenpatch audit: ${short(report.program)}`;
  const fact = (value, words) => el("li", {}, el("b", {}, value), " " + words);
  const faults = report.findings.filter((finding) => FAULTS.includes(finding.verdict) && finding.state !== "suppressed").length;
  page.append(
    el(
      "header",
      {},
      el("h1", {}, "greenpatch audit"),
      el("p", { class: "command" }, report.command || report.program),
      el(
        "ul",
        { class: "facts" },
        fact(duration(report.duration_s), "recorded"),
        fact(many(report.calls, "call", "calls"), "that may wait"),
        fact(many(report.findings.length, "finding", "findings"), `of ${duration(report.threshold_s)} or longer`),
        fact(String(faults), faults === 1 ? "keeps others waiting" : "keep others waiting"),
        fact(many(report.processes, "process", "processes"), ""),
      ),
    ),
  );
  if (report.calls === 0 && report.findings.length === 0) {
    page.append(
      el(
        "section",
        {},
        el("p", { class: "warning" }, "No call that may wait was seen at all: that is no clean bill. “greenpatch check” may tell why."),
      ),
    );
  }
}

function libraries() {
  const own = section(
    "libraries",
    "Libraries",
    "What is said of each library as a whole, and what to do. Times of threads that wait beside each other are summed.",
  );
  if (!report.libraries.length)
    own.append(el("p", { class: "empty" }, `Nothing waited for ${duration(report.threshold_s)} or longer.`));
  for (const known of report.libraries) {
    const origin = [known.package, known.path, known.build_id && `build id ${known.build_id}`].filter(Boolean).join(" · ");
    own.append(
      el(
        "div",
        { class: "library" },
        el("div", {}, chip(known.verdict), " ", el("span", { class: "name" }, known.soname || "(unknown)")),
        el(
          "div",
          { class: "times" },
          known.calls > 0
            ? `${duration(known.total_s)} in ${many(known.calls, "call", "calls")}, the longest ${duration(known.worst_s)}`
            : null,
        ),
        el("div", { class: "more" }, MEANINGS[known.verdict] || "", origin && el("br"), origin),
        known.advice ? el("div", { class: "advice" }, quoted(known.advice)) : null,
      ),
    );
  }
}

function unseen() {
  const own = section("unseen", "Not seen");
  if (report.no_processor && report.no_processor.calls > 0) {
    const { calls, total_s } = report.no_processor;
    const words = `${many(calls, "call", "calls")} took ${duration(report.threshold_s)} or longer only because the thread had no processor`;
    own.append(el("p", { class: "hint" }, `${words} (${duration(total_s)} in all): no findings.`));
  }
  if (report.unseen.length)
    own.append(
      el(
        "ul",
        { class: "unseen" },
        report.unseen.map((words) => el("li", {}, words)),
      ),
    );
  else
    own.append(
      el(
        "p",
        { class: "empty" },
        "Nothing that the recordings know of. " +
          "System calls that a program makes by instructions of its own are never seen: “greenpatch check” names them.",
      ),
    );
  page.append(el("footer", {}, `greenpatch ${report.version} · ${report.schema} · times are since the first process's begin`));
}

header();
libraries();
threads();
loops();
flames();
findings();
unseen();
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width) redraws.forEach((redraw) => redraw());
  width = innerWidth;
});
document.documentElement.dataset.drawn = "whole";
