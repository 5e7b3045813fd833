// Small pictures of a day.

import { draw, make } from "./dom.js";
import { clock, number, say } from "./words.js";

/** A line of a day in a row's height: what came, and what went wrong below it. */
export function spark(series, width = 132, height = 26) {
  const { received, wrong } = series;
  const most = Math.max(1, ...received);
  const step = width / received.length;
  const y = (value) => (height - 3 - (value / most) * (height - 5)).toFixed(1);
  const points = received.map((value, at) => `${(at * step + step / 2).toFixed(1)},${y(value)}`);
  const area = `M${step / 2},${height - 3} L${points.join(" L")} L${(width - step / 2).toFixed(1)},${height - 3} Z`;
  const bad = wrong.map((value, at) => value > 0 && draw("rect", {
    class: "wrong", x: (at * step).toFixed(1), y: height - 3, width: Math.max(step, 2).toFixed(1), height: 3,
  }));
  const sum = received.reduce((all, one) => all + one, 0);
  const words = say("chart.day", { received: sum, wrong: wrong.reduce((all, one) => all + one, 0), most });
  return draw("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": words },
    draw("title", {}, words),
    draw("path", { class: "area", d: area }), draw("polyline", { class: "line", points: points.join(" ") }), ...bad);
}

/** Bars of a day with its scale: each bar a step, told when pointed at. */
export function bars(series, { number: first, step_seconds: seconds }) {
  const [width, height] = [960, 132];
  const { received, sent, wrong } = series;
  const most = Math.max(1, ...received, ...sent);
  const step = width / received.length;
  const tall = (value) => (value / most) * (height - 10);
  const bar = (at, value, kind, wide, shift) => value > 0 && draw("rect", {
    class: kind, x: (at * step + shift).toFixed(1), width: wide.toFixed(1),
    y: (height - Math.max(1, tall(value))).toFixed(1), height: Math.max(1, tall(value)).toFixed(1),
  });
  const columns = received.map((value, at) => {
    const from = (first + at) * seconds * 1000;
    const words = say("chart.step", {
      from: clock(from, false), to: clock(from + seconds * 1000, false), received: value, sent: sent[at], wrong: wrong[at],
    });
    return draw("g", {}, draw("title", {}, words),
      draw("rect", { class: "touch", x: (at * step).toFixed(1), y: 0, width: step.toFixed(1), height }),
      bar(at, value, "in", step * 0.44, step * 0.06), bar(at, sent[at], "out", step * 0.44, step * 0.5),
      bar(at, wrong[at], "wrong", step * 0.94, step * 0.06));
  });
  const every = Math.round((4 * 3600) / seconds);
  const marked = received.map((_, at) => at).filter((at) => (first + at) % every === 0 && at > 2 && at < received.length - 3);
  const marks = marked.map((at) => draw("line", { class: "grid", x1: at * step, x2: at * step, y1: 4, y2: height }));
  // A picture of their own: the bars are as wide as the page, and letters are not.
  const hours = marked.map((at) => draw("text", { x: `${((at / received.length) * 100).toFixed(2)}%`, y: 12, "text-anchor": "middle" },
    clock((first + at) * seconds * 1000, false).split(/[ ,]+/).pop()));
  const words = say("chart.bars", { most, minutes: seconds / 60 });
  return make("figure", { class: "bars" },
    draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words, preserveAspectRatio: "none" },
      ...marks, ...columns),
    draw("svg", { class: "hours", "aria-hidden": "true" }, ...hours),
    make("figcaption", {}, make("span", { class: "key in" }, say("chart.in")), make("span", { class: "key out" }, say("chart.out")),
      make("span", { class: "key wrong" }, say("chart.wrong")), make("span", {}, words),
      make("span", { class: "unseen" }, number(most))));
}
