// The threads and the event loops along the time: what is shown of it can be chosen.
// The part of the time that is shown, and what draws itself anew when it changes.
const whole = [0, Math.max(report.duration_s, 1e-6)];
let shown = whole;
const redraws = [];
const at = (s) => (s - shown[0]) / (shown[1] - shown[0]);

function zoom(from, to) {
  const span = Math.max(to - from, 1e-5);
  shown = [Math.max(whole[0], from), Math.min(whole[1], from + span)];
  redraws.forEach((redraw) => redraw());
}

function ticks(count) {
  const span = shown[1] - shown[0];
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((step) => step >= rough);
  const made = [];
  for (let tick = Math.ceil(shown[0] / step) * step; tick <= shown[1] * (1 + 1e-9); tick += step) made.push(tick);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return made.map((tick) => [tick, tick.toFixed(digits) + " s"]);
}

function axis() {
  const made = el("div", { class: "axis" });
  const redraw = () => {
    const few = ticks(innerWidth < 720 ? 4 : 8);
    made.replaceChildren(
      ...few.map(([tick, words]) => el("span", { class: at(tick) > 0.95 ? "last" : null, style: { left: percent(at(tick)) } }, words)),
    );
  };
  redraws.push(redraw);
  redraw();
  return el("div", { class: "row" }, el("div", { class: "label" }), made);
}

const lines = () => ticks(innerWidth < 720 ? 4 : 8).map(([tick]) => el("i", { class: "grid", style: { left: percent(at(tick)) } }));

// Lets a part of the time be chosen by dragging over a track.
function choosable(track) {
  let from = null;
  const box = el("i", { class: "choice", hidden: "" });
  const where = (event) => {
    const area = track.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - area.left) / area.width));
  };
  track.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.pointerType === "mouse" && !event.target.closest(".stall")) from = where(event);
  });
  addEventListener("pointermove", (event) => {
    if (from === null) return;
    const to = where(event);
    if (!box.isConnected) track.append(box);
    box.hidden = false;
    box.style.left = percent(Math.min(from, to));
    box.style.width = percent(Math.abs(to - from));
  });
  addEventListener("pointerup", (event) => {
    if (from === null) return;
    const [one, other] = [Math.min(from, where(event)), Math.max(from, where(event))];
    const span = shown[1] - shown[0];
    from = null;
    box.hidden = true;
    if (other - one > 0.004) zoom(shown[0] + one * span, shown[0] + other * span);
  });
  track.addEventListener("dblclick", () => zoom(...whole));
  return track;
}

function zooming() {
  const all = el("button", { onclick: () => zoom(...whole) }, "Whole time");
  const nearer = (times) => () => {
    const [middle, half] = [(shown[0] + shown[1]) / 2, ((shown[1] - shown[0]) / 2) * times];
    zoom(Math.max(0, middle - half), Math.min(whole[1], middle + half));
  };
  const move = (part) => () => {
    const span = shown[1] - shown[0];
    const from = Math.min(Math.max(0, shown[0] + part * span), whole[1] - span);
    zoom(from, from + span);
  };
  const back = el("button", { onclick: move(-0.5), "aria-label": "earlier" }, "←");
  const on = el("button", { onclick: move(0.5), "aria-label": "later" }, "→");
  const redraw = () => [all, back, on].forEach((button) => (button.disabled = shown[0] <= whole[0] && shown[1] >= whole[1]));
  redraws.push(redraw);
  redraw();
  return [
    back,
    on,
    el("button", { onclick: nearer(0.5), "aria-label": "nearer" }, "+"),
    el("button", { onclick: nearer(2), "aria-label": "farther" }, "−"),
    all,
  ];
}

function threads() {
  const words = "A row a thread, a bar a call that waited. Drag over a row to look nearer; a click leads to the finding.";
  const own = section("timeline", "Threads along the time", timeline && words);
  if (!timeline) {
    own.append(
      el(
        "p",
        { class: "empty" },
        "A report in JSON has no single calls: this picture needs the recordings (greenpatch audit --keep FOLDER).",
      ),
    );
    return;
  }
  own.querySelector(".head").append(...zooming());
  const verdicts = Object.keys(MEANINGS).filter((verdict) => timeline.calls.some((call) => call.verdict === verdict));
  own.append(legend(verdicts.map((verdict) => [color(verdict), `${verdict}: ${MEANINGS[verdict]}`])));
  if (timeline.left_out > 0) {
    own.append(
      el(
        "p",
        { class: "hint warning" },
        `The latest ${many(timeline.calls.length, "call", "calls")}; ${many(timeline.left_out, "earlier one is", "earlier ones are")} left out here, ` +
          `and summed up in the findings.`,
      ),
    );
  }
  if (!timeline.calls.length) own.append(el("p", { class: "empty" }, "No call waited so long."));
  const byThread = timeline.threads.map((thread) => ({ ...thread, calls: [], grave: 0 }));
  for (const call of timeline.calls) {
    const thread = byThread[call.thread];
    thread.calls.push(call);
    thread.grave += FAULTS.includes(call.verdict) ? 1e9 + call.s : call.s;
  }
  const first = [...byThread].sort((one, other) => other.grave - one.grave).slice(0, ROWS);
  const rest = byThread.filter((thread) => !first.includes(thread));
  const rows = el("div", { class: "rows" });
  own.append(rows, axis());
  const draw = (some) => {
    rows.replaceChildren();
    let process = null;
    for (const thread of byThread.filter((thread) => some.includes(thread))) {
      if (process !== thread.process) {
        process = thread.process;
        const alone = byThread.filter((other) => other.process === process).length === 1;
        if (!alone) rows.append(el("p", { class: "process" }, `process ${process} · ${thread.program}`));
        else if (rows.lastChild && rows.lastChild.dataset.process)
          rows.append(el("p", { class: "process" }, "processes with one thread that waits"));
      }
      rows.append(row(thread));
    }
  };
  draw(first);
  if (rest.length) {
    const more = el(
      "button",
      {
        onclick: () => {
          draw(byThread);
          more.remove();
        },
      },
      `Show ${many(rest.length, "thread", "threads")} more, which wait less`,
    );
    own.append(more);
  }
}

function row(thread) {
  const track = choosable(el("div", { class: "track", "data-process": thread.process, "data-thread": thread.tid }));
  const stalls = thread.calls.map((call) => {
    const made = el("button", {
      class: "stall",
      "data-id": call.id,
      "data-verdict": call.verdict,
      style: { background: color(call.verdict) },
      "aria-label": `${call.call}, ${duration(call.s)}, ${call.verdict}`,
      onclick: () => reveal(call.id),
    });
    return [
      call,
      hints(made, () =>
        [
          `${call.verdict} ${call.call} ${duration(call.s)}`,
          call.about,
          call.line,
          call.gil === "none" ? "" : `Python's lock: ${call.gil}`,
          `at ${call.from_s.toFixed(3)} s, in ${thread.name || "a thread"} (${thread.tid})`,
        ]
          .filter(Boolean)
          .join("\n"),
      ),
    ];
  });
  const redraw = () => {
    const seen = stalls.filter(([call, bar]) => {
      const [from, to] = [at(call.from_s), at(call.from_s + call.s)];
      bar.style.left = percent(from);
      bar.style.width = percent(to - from);
      return to >= 0 && from <= 1;
    });
    track.replaceChildren(...lines(), ...seen.map(([, bar]) => bar));
  };
  redraws.push(redraw);
  redraw();
  const total = thread.calls.reduce((sum, call) => sum + call.s, 0);
  const many = timeline.threads.filter((other) => other.process === thread.process).length > 1;
  return el(
    "div",
    { class: "row", "data-process": many ? thread.process : null },
    el(
      "div",
      { class: "label", title: `thread ${thread.tid} ${thread.name} of process ${thread.process}, ${thread.program}` },
      thread.name || "thread",
      " ",
      el("small", {}, `${thread.tid} · ${duration(total)}`),
    ),
    track,
  );
}

function loops() {
  if (!report.loops.length) return;
  const own = section(
    "loops",
    "Event loops: lag along the time",
    "A loop's lag is the time between two of its waits: what everything else in that loop waited for. " +
      "Each bar is the longest turn that ended there, as wide as the turn was long; the scale is logarithmic.",
  );
  own.append(
    legend([
      ["var(--lag)", "lag"],
      ["var(--blocked)", "blocked in findings"],
      ["var(--computing)", "computing"],
      ["var(--no-cpu)", "ready, without a processor"],
    ]),
  );
  const grave = [...report.loops].sort((one, other) => other.lag_max_s - one.lag_max_s);
  const first = grave.slice(0, ROWS / 2);
  const place = el("div", {});
  own.append(place, axis());
  const draw = (some) => place.replaceChildren(...some.map(lag));
  draw(first);
  if (grave.length > first.length) {
    const more = el(
      "button",
      {
        onclick: () => {
          draw(grave);
          more.remove();
        },
      },
      `Show ${many(grave.length - first.length, "loop", "loops")} more, whose lag is less`,
    );
    own.append(more);
  }
}

function lag(known) {
  const series = known.lag_series || { from_s: 0, part_s: 1, worst_us: [] };
  const top = Math.max(0.1, known.lag_max_s, report.threshold_s * 2);
  const [low, high] = [Math.log10(1e-5), Math.log10(top * 1.3)];
  const height = (s) => Math.min(1, Math.max(0, (Math.log10(s) - low) / (high - low)));
  const points = series.worst_us.map((us, index) => [series.from_s + (index + 1) * series.part_s, us / 1e6]).filter(([, s]) => s > 0);
  const path = el("path", {});
  const svg = el("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true" }, path);
  const track = choosable(
    el("div", { class: "track", "data-process": known.process, "data-loop": known.thread, "data-points": points.length }),
  );
  const levels = [1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100].filter((s) => s < top);
  const level = (s, how) =>
    el(
      "div",
      { class: how, style: { top: percent(1 - height(s)) } },
      el("span", {}, how === "level" ? duration(s) : `threshold ${duration(s)}`),
    );
  const redraw = () => {
    const x = (s) => (Math.min(1.01, Math.max(-0.01, at(s))) * 1000).toFixed(2);
    path.setAttribute(
      "d",
      points
        .filter(([ended, s]) => at(ended) >= 0 && at(ended - Math.max(s, series.part_s)) <= 1)
        .map(([ended, s]) => {
          const begun = ended - Math.max(s, series.part_s);
          return `M${x(begun)} 100V${(100 - height(s) * 100).toFixed(2)}H${x(ended)}V100Z`;
        })
        .join(""),
    );
    track.replaceChildren(...lines(), svg, ...levels.map((s) => level(s, "level")), level(report.threshold_s, "level limit"));
  };
  redraws.push(redraw);
  redraw();
  hints(track, () => {
    const box = track.getBoundingClientRect();
    const now = shown[0] + ((pointer - box.left) / box.width) * (shown[1] - shown[0]);
    const over = points.filter(([ended, s]) => now <= ended && now >= ended - Math.max(s, series.part_s));
    const most = Math.max(0, ...over.map(([, s]) => s));
    return `at ${now.toFixed(3)} s\n` + (most ? `lag ${duration(most)}` : "the loop waits, or no turn ended here");
  });
  track.addEventListener("pointermove", (event) => (pointer = event.clientX), true);
  const busy = known.blocked_s + known.computing_s + known.no_cpu_s;
  const part = (s, how, words) =>
    hints(
      el("i", { style: { "flex-grow": Math.max(s, 1e-9).toFixed(9), background: `var(--${how})` } }),
      () => `${words}: ${duration(s)}`,
    );
  return el(
    "div",
    { class: "lag row" },
    el(
      "div",
      { class: "label" },
      `${known.name || "thread"} ${known.thread}`,
      el("br"),
      el("small", {}, `${known.kind}, process ${known.process}`),
      el("br"),
      el(
        "small",
        {},
        `${many(known.turns, "turn", "turns")}; ` +
          `half below ${duration(known.lag_p50_s)}, 99 of 100 below ${duration(known.lag_p99_s)}, the longest ${duration(known.lag_max_s)}`,
      ),
      busy > 0
        ? el(
            "div",
            { class: "split" },
            part(known.blocked_s, "blocked", "blocked in findings"),
            part(known.computing_s, "computing", "computing"),
            part(known.no_cpu_s, "no-cpu", "ready, without a processor"),
          )
        : null,
      busy > 0
        ? el(
            "small",
            {},
            `blocked ${duration(known.blocked_s)}, computing ${duration(known.computing_s)}, no processor ${duration(known.no_cpu_s)}`,
          )
        : null,
    ),
    track,
  );
}
let pointer = 0;
