// The flame graph of waiting.
// Makes one tree of the stacks: what they have in common from the root on is one frame.
function tree() {
  const root = { name: "all threads", kind: "program", us: 0, children: new Map(), depth: 0, parent: null };
  for (const [stack, us, id] of flame.stacks) {
    let node = root;
    node.us += us;
    for (const index of stack) {
      if (!node.children.has(index)) {
        const { name, kind, file } = flame.frames[index];
        node.children.set(index, { name, kind, file, us: 0, children: new Map(), depth: node.depth + 1, parent: node, id });
      }
      node = node.children.get(index);
      node.us += us;
    }
  }
  return root.children.size === 1 ? [...root.children.values()][0] : root;
}

function flames() {
  const own = section(
    "flame",
    "Flame graph of waiting",
    "The program on top, the calls that wait at the tips; as wide as they waited in all. " +
      "Threads wait beside each other, so the sum may be more than the program's time. A click looks nearer.",
  );
  if (!flame.stacks.length) {
    own.append(el("p", { class: "empty" }, "No call waited so long."));
    return;
  }
  const root = tree();
  const all = [];
  const collect = (node) => {
    all.push(node);
    [...node.children.values()].sort((one, other) => other.us - one.us).forEach(collect);
  };
  root.parent = null;
  collect(root);
  let focus = root;
  const reset = el("button", { disabled: "", onclick: () => look(root) }, "Whole graph");
  const search = el("input", {
    type: "search",
    placeholder: "Find a function",
    "aria-label": "Find a function",
    oninput: () => draw(),
  });
  own.querySelector(".head").append(search, reset);
  own.append(legend(Object.entries(KINDS).map(([kind, words]) => [`var(--${kind})`, words])));
  const area = el("div", { class: "flame" });
  own.append(area);
  const look = (node) => {
    focus = node;
    draw();
  };
  const draw = () => {
    const sought = search.value.trim().toLowerCase();
    const above = [];
    for (let node = focus.parent; node; node = node.parent) above.push(node);
    const drawn = [];
    let deepest = 0;
    const put = (node, left, width) => {
      const row = node.depth - root.depth;
      deepest = Math.max(deepest, row);
      const share = node.us / Math.max(root.us, 1);
      const frame = el(
        "button",
        {
          class: `frame ${above.includes(node) ? "above" : ""} ${sought && !node.name.toLowerCase().includes(sought) ? "unfound" : ""}`,
          "data-depth": row,
          "data-us": node.us,
          style: { left: percent(left), width: percent(width), top: row * 20 + "px", background: `var(--${node.kind})` },
          onclick: () => (node === focus && !node.children.size ? reveal(node.id) : look(node)),
        },
        width * area.clientWidth > 24 || !area.clientWidth ? node.name : "",
      );
      drawn.push(
        hints(
          frame,
          () =>
            `${node.name}\n${duration(node.us / 1e6)}, ${(share * 100).toFixed(1)} % of all waiting` +
            (node.file ? `\n${node.file}` : ""),
        ),
      );
    };
    above.forEach((node) => put(node, 0, 1));
    const spread = (node, left, width) => {
      put(node, left, width);
      let from = left;
      for (const child of [...node.children.values()].sort((one, other) => other.us - one.us)) {
        const part = width * (child.us / Math.max(node.us, 1));
        if (part > 0.0004) spread(child, from, part);
        from += part;
      }
    };
    spread(focus, 0, 1);
    area.style.height = (deepest + 1) * 20 + "px";
    area.replaceChildren(...drawn);
    reset.disabled = focus === root;
  };
  draw();
  redraws.push(draw);
}
