// Runs behind the page's own script: measures what lies where, uses the page as a person would, and leaves what it saw in the document.
{
  const all = (selector) => [...document.querySelectorAll(selector)];
  const box = (element) => element.getBoundingClientRect();
  const brightness = (color) =>
    color
      .match(/[\d.]+/g)
      .slice(0, 3)
      .reduce((sum, part) => sum + Number(part), 0) / 3;
  const style = getComputedStyle(document.documentElement);
  const seen = {
    drawn: document.documentElement.dataset.drawn,
    width: document.documentElement.scrollWidth,
    window: innerWidth,
    ground: brightness(style.backgroundColor),
    ink: brightness(style.color),
    markup: all("main img, main b > b, main script").length,
  };
  seen.stalls = all(".stall").map((bar) => {
    bar.scrollIntoView({ block: "center" });
    const [own, track] = [box(bar), box(bar.parentElement)];
    const top = document.elementFromPoint(own.left + own.width / 2, own.top + own.height / 2);
    return {
      process: Number(bar.parentElement.dataset.process),
      thread: Number(bar.parentElement.dataset.thread),
      verdict: bar.dataset.verdict,
      from: (own.left - track.left) / track.width,
      wide: own.width / track.width,
      height: own.height,
      color: getComputedStyle(bar).backgroundColor,
      is_on_top: top !== null && top.classList.contains("stall"),
    };
  });
  seen.lags = all("[data-loop]").map((track) => {
    const path = track.querySelector("path");
    return {
      thread: Number(track.dataset.loop),
      points: Number(track.dataset.points),
      bars: (path.getAttribute("d").match(/M/g) || []).length,
      height: box(path).height,
      of: box(track).height,
    };
  });
  const flame = document.querySelector(".flame");
  const frames = () =>
    all(".frame").map((frame) => ({
      name: frame.textContent || frame.title,
      depth: Number(frame.dataset.depth),
      us: Number(frame.dataset.us),
      share: box(frame).width / box(flame).width,
    }));
  // A frame that is too narrow for its name tells it when it is pointed at.
  const point = (element) => {
    const own = box(element);
    element.dispatchEvent(
      new PointerEvent("pointermove", { bubbles: true, clientX: own.left + own.width / 2, clientY: own.top + own.height / 2 }),
    );
    return document.getElementById("tip").textContent;
  };
  if (flame) {
    all(".frame").forEach((frame) => (frame.title = point(frame).split("\n")[0]));
    seen.frames = frames();
  }
  all("details.finding").forEach((card) => (card.open = true));
  seen.cards = all("details.finding").map((card) => card.dataset.id);
  const did = (seen.did = {});
  const stall = document.querySelector(".stall");
  if (stall) {
    all("details.finding").forEach((card) => (card.open = false));
    did.tip = point(stall);
    did.wanted = stall.dataset.id;
    stall.click();
    did.opened = (document.querySelector("details.finding[open]") || { dataset: {} }).dataset.id;
    const track = stall.parentElement;
    did.whole = box(stall).width;
    const [own, area] = [box(stall), box(track)];
    const drag = (kind, x, target) =>
      target.dispatchEvent(new PointerEvent(kind, { bubbles: true, button: 0, pointerType: "mouse", clientX: x, clientY: area.top + 1 }));
    drag("pointerdown", Math.max(area.left, own.left - area.width * 0.1), track);
    drag("pointermove", own.right + area.width * 0.1, window);
    drag("pointerup", own.right + area.width * 0.1, window);
    did.zoomed = box(stall).width;
  }
  if (flame) {
    const deep = all(".frame").find((frame) => Number(frame.dataset.depth) === 1);
    const name = deep.textContent;
    deep.click();
    did.flame_share = (frames().find((frame) => frame.name === name && frame.depth === 1) || {}).share;
    all("button")
      .find((button) => button.textContent === "Whole graph")
      .click();
    did.flame_back = (frames().find((frame) => frame.depth === 0) || {}).share;
  }
  const report = document.createElement("pre");
  report.id = "probe";
  // What a closed card has is filled in as it opens, which is told in a task of its own.
  all("details.finding").forEach((card) => (card.open = true));
  setTimeout(() => {
    seen.text = document.body.innerText;
    seen.loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
    seen.errors = window.probe.errors;
    report.textContent = JSON.stringify(seen);
    document.body.append(report);
  }, 200);
}
