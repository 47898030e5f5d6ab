"use strict";
/* The explorer: all rows of a run in a table that sorts and filters, with a chart and a map of labels. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const n = data.row.length;
  const PAGE = 50, DOTS = 5000;
  const columns = data.columns; // [{key, title, words}], in the order of the table
  const state = { key: "distance", falling: false, page: 0, pair: null, status: "", text: "" };
  let order = [];

  const name = (label) => (label < 0 ? "–" : data.names[label] ?? String(label));
  const shown = (key, i) => {
    const value = data[key][i];
    if (value === null) return "–";
    if (key === "home" || key === "flipped" || key === "label") return name(value);
    if (key === "status") return data.statuses[value];
    return String(value);
  };

  function select() {
    const text = state.text.trim();
    const wanted = [];
    for (let i = 0; i < n; i++) {
      if (state.pair && (data.home[i] !== state.pair[0] || data.flipped[i] !== state.pair[1])) continue;
      if (state.status !== "" && data.status[i] !== Number(state.status)) continue;
      if (text !== "" && String(data.row[i]) !== text) continue;
      wanted.push(i);
    }
    const values = data[state.key];
    const sign = state.falling ? -1 : 1;
    wanted.sort((a, b) => { // unknown values last, ties by row
      const x = values[a], y = values[b];
      if (x === y) return a - b;
      if (x === null) return 1;
      if (y === null) return -1;
      return sign * (x - y);
    });
    order = wanted;
    state.page = 0;
    draw();
  }

  function cell(tag, text, number) {
    const element = document.createElement(tag);
    element.textContent = text;
    if (number) element.className = "number";
    return element;
  }

  function draw() {
    const body = $("rows");
    body.replaceChildren();
    for (const i of order.slice(state.page * PAGE, (state.page + 1) * PAGE)) {
      const line = document.createElement("tr");
      const first = cell("th", "");
      first.scope = "row";
      const button = cell("button", String(data.row[i]));
      button.addEventListener("click", () => show(i));
      first.append(button);
      line.append(first);
      for (const { key, words } of columns.slice(1)) line.append(cell("td", shown(key, i), !words));
      body.append(line);
    }
    const pages = Math.max(1, Math.ceil(order.length / PAGE));
    $("count").textContent =
      `${order.length.toLocaleString("en")} of ${n.toLocaleString("en")} rows, page ${state.page + 1} of ${pages}` +
      (state.pair ? `, ${name(state.pair[0])} → ${name(state.pair[1])}` : "");
    $("back").disabled = state.page === 0;
    $("next").disabled = state.page + 1 >= pages;
    for (const head of document.querySelectorAll("#table thead th"))
      head.setAttribute("aria-sort", head.dataset.key !== state.key ? "none" : state.falling ? "descending" : "ascending");
  }

  function show(i) {
    const detail = $("detail");
    detail.replaceChildren(cell("h3", `Row ${data.row[i]}`));
    detail.append(cell("p", columns.slice(1).map(({ key, title }) => `${title} ${shown(key, i)}`).join(", ")));
    const pictures = data.pictures[data.row[i]];
    (pictures || []).forEach((uri, k) => {
      const image = document.createElement("img");
      image.src = uri;
      image.alt = `${k ? "flip point" : "original"} of row ${data.row[i]}`;
      detail.append(image);
    });
    if (!pictures && data.has_pictures) detail.append(cell("p", "No picture in this file; blackbox-boundary worst exports rows."));
  }

  function chart() {
    const all = nearest.filter((i) => data.distance[i] !== null);
    const step = Math.max(1, all.length / DOTS); // evenly spaced by distance where rows are many
    const known = Array.from({ length: Math.min(all.length, DOTS) }, (_, k) => all[Math.floor(k * step)]);
    const x = known.map((i) => data.distance[i]);
    const curve = !data.entropy;
    const y = curve ? known.map((_, k) => 1 - (k * step) / n) : known.map((i) => data.entropy[i]);
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--ink").trim(), line = style.getPropertyValue("--line").trim();
    const axis = (label) => ({ label, stroke: ink, grid: { stroke: line }, ticks: { stroke: line } });
    const holder = $("chart");
    const plot = new uPlot({
      width: Math.min(900, holder.clientWidth), height: 320, legend: { show: false },
      scales: { x: { time: false } }, axes: [axis(data.unit), axis(curve ? "rows without a nearer flip" : "entropy (nats)")],
      series: [{}, {
        stroke: style.getPropertyValue("--accent").trim(), points: { show: !curve, size: 3 },
        ...(curve ? {} : { paths: () => null }),
      }],
      hooks: { setCursor: [(u) => {
        const k = u.cursor.idx;
        if (k != null) $("hover").textContent = columns.map(({ key, title }) => `${title} ${shown(key, known[k])}`).join(", ");
      }] },
    }, [x, y], holder);
    plot.over.addEventListener("click", () => { if (plot.cursor.idx != null) show(known[plot.cursor.idx]); });
    addEventListener("resize", () => plot.setSize({ width: Math.min(900, holder.clientWidth), height: 320 }));
  }

  for (const head of document.querySelectorAll("#table thead th"))
    head.firstElementChild.addEventListener("click", () => {
      const key = head.dataset.key;
      state.falling = state.key === key && !state.falling;
      state.key = key;
      select();
    });
  for (const button of document.querySelectorAll("[data-pair]"))
    button.addEventListener("click", () => choose(button.dataset.pair.split(",").map(Number)));
  const choose = (pair) => {
    state.pair = pair;
    select();
    $("h-rows").scrollIntoView({ block: "nearest" });
  };
  const pixel = (event) => { // of a map with a pixel a pair
    const map = $("map"), box = map.getBoundingClientRect(), size = Number(map.dataset.size);
    const place = (share) => Math.min(size - 1, Math.max(0, Math.floor(share * size)));
    return [place((event.clientY - box.top) / box.height), place((event.clientX - box.left) / box.width)];
  };
  if ($("map")) {
    $("map").addEventListener("click", (event) => choose(pixel(event)));
    $("map").addEventListener("mousemove", (event) => {
      const [home, flipped] = pixel(event);
      let found = 0;
      for (let i = 0; i < n; i++) if (data.home[i] === home && data.flipped[i] === flipped) found++;
      $("cell").textContent = `${name(home)} → ${name(flipped)}: ${found.toLocaleString("en")} rows`;
    });
  }
  $("all").addEventListener("click", () => { state.pair = null; select(); });
  $("status").addEventListener("change", (event) => { state.status = event.target.value; select(); });
  $("find").addEventListener("input", (event) => { state.text = event.target.value; select(); });
  $("back").addEventListener("click", () => { state.page--; draw(); });
  $("next").addEventListener("click", () => { state.page++; draw(); });
  select();
  const nearest = order;
  if (n) show(nearest[0]);
  setTimeout(() => { chart(); document.body.dataset.ready = "yes"; }); // the table first
})();
