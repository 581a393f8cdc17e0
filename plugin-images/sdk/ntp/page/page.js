"use strict";
(() => {
  const run = JSON.parse(document.getElementById("run").textContent);
  const tip = document.getElementById("tip");
  const whole = document.getElementById("whole");
  const LEFT = 8, RIGHT = 74, TOP = 10, BOTTOM = 24;
  const SIZE = 5.5, SMALLEST = 2.5, NEAR = 6, MOST_TOLD = 6;
  const BUY = 0, SELL = 1, HOLD = 2, BOUGHT = 3;
  const STEPS = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5,
    36e5, 72e5, 108e5, 216e5, 432e5, 864e5, 1728e5, 6048e5, 26784e5, 80352e5, 31536e6, 15768e7,
  ];
  const hidden = new Set();
  let view = [0, run.span];
  let hover = null;
  let drag = null;
  let ink = {};
  let asked = false;

  const sums = (steps, scale) => {
    let sum = 0;
    return Float64Array.from(steps, (step) => (sum += step) / scale);
  };
  const charts = [...document.querySelectorAll("canvas[data-chart]")].map((canvas) => {
    const given = run.charts[Number(canvas.dataset.chart)];
    canvas.hidden = false;
    const lines = given.lines.map((line) => ({
      ...line, t: sums(line.t, 1), v: sums(line.v, 10 ** line.scale),
    }));
    return { canvas, marks: [], unit: "", note: "", ...given, lines, box: null };
  });

  const first = (times, at) => {
    // How many are before `at`: they are in order.
    let low = 0, high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] < at) low = middle + 1; else high = middle;
    }
    return low;
  };
  const within = (line, [from, to]) =>
    [Math.max(first(line.t, from) - 1, 0), Math.min(first(line.t, to) + 1, line.t.length)];
  const lineShown = (line) => !hidden.has(`s${line.strategy}`);
  const markShown = (mark) =>
    !hidden.has(`s${mark[3]}`) && !hidden.has(mark[2] < BOUGHT ? "signals" : "fills");
  const marksIn = (chart, [from, to]) =>
    chart.marks.filter((mark) => mark[0] >= from && mark[0] <= to && markShown(mark));
  const colour = (strategy) => strategy < 0 ? ink.price : ink[`ink${strategy % run.palette}`];

  const figure = (value, chart) =>
    value.toLocaleString("en-US", {
      minimumFractionDigits: Math.min(chart.decimals, 8), maximumFractionDigits: Math.min(chart.decimals, 8),
    }).replace("-", "\u2212") + (chart.unit && "\u00a0" + chart.unit);
  const clock = (at, step) => {
    const text = new Date(run.start + at).toISOString();
    if (step >= 864e5) return text.slice(0, 10);
    return text.slice(11, step < 1e3 ? 23 : step < 6e4 ? 19 : 16);
  };

  const scales = (chart) => {
    const { canvas } = chart;
    const width = canvas.clientWidth - LEFT - RIGHT, height = canvas.clientHeight - TOP - BOTTOM;
    let low = Infinity, high = -Infinity;
    const reach = (value) => { low = Math.min(low, value); high = Math.max(high, value); };
    for (const line of chart.lines.filter(lineShown)) {
      const [from, to] = within(line, view);
      for (let at = from; at < to; at++) reach(line.v[at]);
    }
    for (const mark of marksIn(chart, view)) reach(mark[1]);
    if (chart.zero && low <= high) reach(0);
    if (low > high) [low, high] = [0, 1];
    const room = (high - low || Math.abs(high) * 1e-4 || 1) * 0.12;
    low -= chart.zero && low === 0 ? room / 3 : room;
    high += chart.zero && high === 0 ? room / 3 : room;
    return {
      width, height, low, high,
      x: (at) => LEFT + (at - view[0]) / (view[1] - view[0]) * width,
      y: (value) => TOP + (high - value) / (high - low) * height,
      at: (x) => view[0] + (x - LEFT) / width * (view[1] - view[0]),
    };
  };

  const grid = (pen, chart, box) => {
    pen.font = "12px system-ui, sans-serif";
    pen.lineWidth = 1;
    pen.strokeStyle = ink.grid;
    pen.fillStyle = ink.quiet;
    const rough = (box.high - box.low) / Math.max(box.height / 36, 2);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((times) => times * power >= rough);
    const decimals = Math.max(0, Math.min(8, -Math.floor(Math.log10(step) + 1e-9)));
    pen.textBaseline = "middle";
    pen.textAlign = "left";
    for (let value = Math.ceil(box.low / step) * step; value <= box.high; value += step) {
      const y = Math.round(box.y(value)) + 0.5;
      pen.beginPath();
      pen.moveTo(LEFT, y);
      pen.lineTo(LEFT + box.width, y);
      pen.stroke();
      const shown = Math.abs(value) < step / 1e3 ? 0 : value;
      pen.fillText(figure(shown, { decimals, unit: chart.unit }), LEFT + box.width + 6, y);
    }
    const span = view[1] - view[0];
    const every = STEPS.find((each) => span / each <= box.width / 92) ?? STEPS.at(-1);
    pen.textBaseline = "top";
    pen.textAlign = "center";
    for (let at = Math.ceil((run.start + view[0]) / every) * every - run.start; at <= view[1]; at += every) {
      const x = Math.round(box.x(at)) + 0.5;
      pen.beginPath();
      pen.moveTo(x, TOP);
      pen.lineTo(x, TOP + box.height);
      pen.stroke();
      if (x > LEFT + 24 && x < LEFT + box.width - 10) pen.fillText(clock(at, every), x, TOP + box.height + 7);
    }
    if (chart.note) {
      pen.save();
      pen.globalAlpha = 0.2;
      pen.font = "600 38px system-ui, sans-serif";
      pen.textBaseline = "alphabetic";
      pen.fillText(chart.note, LEFT + box.width / 2, TOP + box.height - 14);
      pen.restore();
    }
  };

  const trace = (pen, line, box) => {
    const [from, to] = within(line, view);
    pen.strokeStyle = colour(line.strategy);
    pen.lineWidth = line.dashed ? 1.2 : 1.5;
    pen.setLineDash(line.dashed ? [5, 4] : []);
    pen.beginPath();
    for (let at = from; at < to; at++) pen.lineTo(box.x(line.t[at]), box.y(line.v[at]));
    pen.stroke();
    pen.setLineDash([]);
    if (!line.area || from >= to) return;
    pen.lineTo(box.x(line.t[to - 1]), box.y(0));
    pen.lineTo(box.x(line.t[from]), box.y(0));
    pen.globalAlpha = 0.16;
    pen.fillStyle = pen.strokeStyle;
    pen.fill();
    pen.globalAlpha = 1;
  };

  // A fill touches its price; a signal stands clear of it, so that both can be seen.
  const shape = (pen, mark, box, size) => {
    const [at, price, kind, strategy] = mark;
    const x = box.x(at), y = box.y(price);
    pen.strokeStyle = pen.fillStyle = colour(strategy);
    pen.lineWidth = 1.5;
    pen.beginPath();
    if (kind === HOLD) {
      pen.rect(x - 3, y - 3, 6, 6);
    } else {
      const down = kind === BUY || kind === BOUGHT ? 1 : -1;
      const tipAt = y + down * (kind < BOUGHT ? 2 * size + 6 : 2);
      pen.moveTo(x, tipAt);
      pen.lineTo(x - size, tipAt + down * size * 1.7);
      pen.lineTo(x + size, tipAt + down * size * 1.7);
      pen.closePath();
    }
    if (kind < BOUGHT) pen.stroke(); else pen.fill();
  };

  const point = (pen, chart, box) => {
    const x = box.x(hover.at);
    if (x < LEFT || x > LEFT + box.width) return;
    pen.strokeStyle = ink.quiet;
    pen.lineWidth = 1;
    pen.setLineDash([3, 3]);
    pen.beginPath();
    pen.moveTo(Math.round(x) + 0.5, TOP);
    pen.lineTo(Math.round(x) + 0.5, TOP + box.height);
    pen.stroke();
    pen.setLineDash([]);
    for (const line of chart.lines.filter(lineShown)) {
      const at = latest(line);
      if (at < 0) continue;
      pen.fillStyle = colour(line.strategy);
      pen.beginPath();
      pen.arc(box.x(line.t[at]), box.y(line.v[at]), 3.2, 0, 2 * Math.PI);
      pen.fill();
    }
  };
  const latest = (line) => first(line.t, hover.at + 1e-9) - 1;

  const draw = (chart) => {
    const { canvas } = chart;
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const box = chart.box = scales(chart);
    if (box.width < 40 || box.height < 20) return;
    grid(pen, chart, box);
    pen.save();
    pen.beginPath();
    pen.rect(LEFT - 6, 0, box.width + 12, TOP + box.height + 6);
    pen.clip();
    chart.lines.filter(lineShown).forEach((line) => trace(pen, line, box));
    const marks = marksIn(chart, view);
    const size = Math.max(SMALLEST, Math.min(SIZE, 2 * box.width / marks.length));
    marks.forEach((mark) => shape(pen, mark, box, size));
    if (hover) point(pen, chart, box);
    if (drag && drag.chart === chart) {
      pen.globalAlpha = 0.15;
      pen.fillStyle = ink.ink0;
      pen.fillRect(Math.min(drag.from, drag.to), TOP, Math.abs(drag.to - drag.from), box.height);
    }
    pen.restore();
  };

  const tell = () => {
    tip.hidden = !hover || drag !== null;
    if (tip.hidden) return;
    const { chart, at, x, y } = hover;
    const rows = [new Date(run.start + at).toISOString().slice(0, 23).replace("T", " ") + " UTC"];
    for (const line of chart.lines.filter(lineShown)) {
      const index = latest(line);
      if (index >= 0) rows.push(`${line.name} ${figure(line.v[index], chart)}`);
    }
    if (chart.note) rows.push(chart.note);
    const near = marksIn(chart, view).filter((mark) => Math.abs(chart.box.x(mark[0]) - chart.box.x(at)) <= NEAR);
    rows.push(...near.slice(0, MOST_TOLD).map((mark) => mark[4]));
    if (near.length > MOST_TOLD) rows.push(`\u2026 ${near.length - MOST_TOLD} more; drag to look closer`);
    tip.replaceChildren(...rows.map((text, number) => {
      const row = document.createElement(number ? "div" : "b");
      row.textContent = text;
      return row;
    }));
    const beside = x + 16 + tip.offsetWidth > innerWidth ? x - 16 - tip.offsetWidth : x + 16;
    tip.style.left = `${Math.max(beside, 4)}px`;
    tip.style.top = `${Math.max(Math.min(y + 14, innerHeight - tip.offsetHeight - 6), 4)}px`;
  };

  const redraw = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      charts.forEach(draw);
      tell();
    });
  };
  const show = (from, to) => {
    view = [Math.max(from, 0), Math.min(to, run.span)];
    whole.hidden = view[0] === 0 && view[1] === run.span;
    redraw();
  };
  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    const names = ["text", "quiet", "line", "grid", "price"];
    for (let number = 0; number < run.palette; number++) names.push(`ink${number}`);
    ink = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    redraw();
  };

  for (const chart of charts) {
    const { canvas } = chart;
    const inside = (event) => {
      const x = event.clientX - canvas.getBoundingClientRect().left;
      return Math.max(LEFT, Math.min(x, LEFT + chart.box.width));
    };
    canvas.addEventListener("pointermove", (event) => {
      const x = inside(event);
      if (drag) drag.to = x;
      hover = { chart, at: chart.box.at(x), x: event.clientX, y: event.clientY };
      redraw();
    });
    canvas.addEventListener("pointerleave", () => { if (!drag) { hover = null; redraw(); } });
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.pointerType === "touch") return;
      canvas.setPointerCapture(event.pointerId);
      drag = { chart, from: inside(event), to: inside(event) };
    });
    const end = (event) => {
      if (!drag) return;
      const [from, to] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
      drag = null;
      if (event.type === "pointerup" && to - from > 5) show(chart.box.at(from), chart.box.at(to));
      redraw();
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("dblclick", () => show(0, run.span));
  }
  for (const button of document.querySelectorAll("button[data-hides]")) {
    button.addEventListener("click", () => {
      const what = button.dataset.hides;
      const off = !hidden.has(what);
      if (off) hidden.add(what); else hidden.delete(what);
      button.setAttribute("aria-pressed", String(!off));
      redraw();
    });
  }
  whole.addEventListener("click", () => show(0, run.span));
  const resized = new ResizeObserver(redraw);
  charts.forEach((chart) => resized.observe(chart.canvas));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", colours);
  // Paper is light, whatever the screen is.
  const printing = (on) => () => {
    document.documentElement.classList.toggle("printing", on);
    colours();
    charts.forEach(draw);
  };
  addEventListener("beforeprint", printing(true));
  addEventListener("afterprint", printing(false));
  document.querySelector(".legend").hidden = false;
  colours();
})();
