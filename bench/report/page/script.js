"use strict";
(() => {
  const number = v => {
    const a = Math.abs(v);
    if (a >= 100 || Number.isInteger(v)) return Math.round(v).toLocaleString("en-US");
    return v.toFixed(a >= 10 ? 1 : 2);
  };
  const write = {
    ms: v => v >= 1e4 ? number(v / 1e3) + " s" : v > 0 && v < 0.01 ? number(Math.round(v * 1e3)) + " µs" : number(v) + " ms",
    rate: number,
    cores: v => number(v),
    bytes: v => {
      for (const [size, name] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]]) if (v >= size) return number(v / size) + " " + name;
      return number(v) + " B";
    },
    time: v => v < 0 ? "warm-up" : "second " + Math.floor(v),
    decades: v => (100 * (1 - 10 ** -v)).toFixed(Math.max(0, Math.ceil(v) - 1)) + "%",
  };
  const show = (figure, plot, box, cross, tip) => event => {
    const frame = figure.querySelector("svg.frame").getBoundingClientRect(), outer = box.getBoundingClientRect();
    const at = Math.min(1, Math.max(0, (event.clientX - frame.left) / frame.width));
    const x = plot.x.min + at * (plot.x.max - plot.x.min);
    let xs, nearest;
    tip.replaceChildren(document.createElement("b"));
    for (const s of plot.series) {
      xs = s.x || xs;
      let best = -1;
      xs.forEach((v, i) => { if (s.y[i] !== null && (best < 0 || Math.abs(v - x) < Math.abs(xs[best] - x))) best = i; });
      if (best < 0) continue;
      if (nearest === undefined || Math.abs(xs[best] - x) < Math.abs(nearest - x)) nearest = xs[best];
      const line = document.createElement("span"), name = document.createElement("i"), value = document.createElement("i");
      name.textContent = s.name;
      value.textContent = write[plot.y.unit](s.y[best]);
      line.append(name, value);
      tip.append(line);
    }
    if (nearest === undefined) return;
    tip.firstChild.textContent = write[plot.x.unit](nearest);
    const px = frame.left - outer.left + frame.width * (nearest - plot.x.min) / (plot.x.max - plot.x.min);
    Object.assign(cross.style, { left: px + "px", top: frame.top - outer.top + "px", height: frame.height + "px", display: "block" });
    tip.style.display = "block";
    const left = px + 14 + tip.offsetWidth > outer.width ? px - 14 - tip.offsetWidth : px + 14;
    Object.assign(tip.style, { left: left + "px", top: Math.max(0, event.clientY - outer.top - tip.offsetHeight / 2) + "px" });
  };
  for (const figure of document.querySelectorAll("figure[data-plot]")) {
    const plot = JSON.parse(figure.dataset.plot), box = figure.querySelector(".plot");
    const cross = document.createElement("div"), tip = document.createElement("div");
    cross.className = "cross";
    tip.className = "tip";
    const hide = () => { cross.style.display = tip.style.display = "none"; };
    hide();
    box.append(cross, tip);
    box.addEventListener("pointermove", show(figure, plot, box, cross, tip));
    box.addEventListener("pointerleave", hide);
  }
})();
