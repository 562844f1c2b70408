// What a report's page is made of: elements, words, and the hint that follows the pointer. All texts go in as text, never as markup.
const { report, timeline, flame } = JSON.parse(document.getElementById("data").textContent);
const page = document.getElementById("page");
const tip = document.getElementById("tip");

const MEANINGS = {
  HOLDS_GIL: "waits with Python's lock held: no other Python thread runs",
  BLOCKS_LOOP: "blocks an event loop: all others of the loop wait",
  BUSY_POLLS: "sleeps shortly, again and again",
  HIDDEN: "makes system calls by instructions of its own: what waits there is not seen",
  OWN_THREADS: "a library's own thread waits: no fault",
  WAITS: "a thread waits: no fault by itself",
  COOPERATIVE: "waits by the event loop's own means",
};
const FAULTS = ["HOLDS_GIL", "BLOCKS_LOOP", "BUSY_POLLS"];
const KINDS = { program: "the program", python: "Python", native: "native code", call: "the call that waits" };
const ROWS = 24;

// Makes an element: attributes, listeners (on…), then children, which are elements or text.
function el(tag, attributes, ...children) {
  const svg = ["svg", "path"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") Object.entries(value).forEach(([key, how]) => made.style.setProperty(key, how));
    else if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

function duration(s) {
  if (s >= 10) return s.toFixed(1) + " s";
  if (s >= 1) return s.toFixed(2) + " s";
  if (s >= 1e-3) return (s * 1e3).toFixed(0) + " ms";
  return (s * 1e6).toFixed(0) + " µs";
}
const many = (count, one, more) => `${count.toLocaleString("en")} ${count === 1 ? one : more}`;
const color = (verdict) => `var(--${MEANINGS[verdict] ? verdict : "WAITS"})`;
const chip = (verdict) => el("span", { class: "chip", style: { background: color(verdict) } }, verdict);
const short = (path) => path.slice(path.lastIndexOf("/") + 1);
const percent = (part) => `${(part * 100).toFixed(4)}%`;

function about(fd) {
  if (!fd) return "";
  return [fd.kind === "unknown" ? "" : fd.kind, fd.peer || fd.path || fd.local || ""].filter(Boolean).join(" ");
}

// Sets what stands between backticks as code.
const quoted = (words) => words.split("`").map((part, index) => (index % 2 ? el("code", {}, part) : part));

function place(frame) {
  const object = frame.soname || "?";
  const offset = frame.offset === null ? "" : "+0x" + frame.offset.toString(16);
  return frame.function ? `${frame.function}${offset}` : `${object}${offset}`;
}

function hints(element, words) {
  const show = (x, y) => {
    tip.textContent = words();
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(x + 12, innerWidth - box.width - 4)) + "px";
    tip.style.top = (y + 18 + box.height > innerHeight ? Math.max(4, y - box.height - 10) : y + 18) + "px";
  };
  element.addEventListener("pointermove", (event) => show(event.clientX, event.clientY));
  element.addEventListener("pointerleave", () => (tip.hidden = true));
  element.addEventListener("blur", () => (tip.hidden = true));
  element.addEventListener("focus", () => {
    const box = element.getBoundingClientRect();
    if (element.matches(":focus-visible")) show(box.left, box.bottom - 14);
  });
  return element;
}
addEventListener("scroll", () => (tip.hidden = true), { passive: true });

function section(name, title, hint, ...rest) {
  const made = el(
    "section",
    { id: name },
    el("div", { class: "head" }, el("h2", {}, title)),
    hint && el("p", { class: "hint" }, hint),
    ...rest,
  );
  page.append(made);
  return made;
}

const legend = (entries) =>
  el(
    "ul",
    { class: "legend" },
    entries.map(([how, words]) => el("li", {}, el("i", { style: { background: how } }), words)),
  );
