// What is drawn. Places are percentages of a drawing's width, so that it fits any window and texts stay texts.

const NAMES = {verdicts: ["win", "draw", "loss", "none"], leaving: ["loss", "win", "draw"],
  levels: ["best", "good", "draw", "poor", "worst", "none", "none"]};

function scale(low, high) {
  const width = high - low || 1;
  return value => `${Math.min(100, Math.max(0, 100 * (value - low) / width)).toFixed(2)}%`;
}

function ticks(low, high) {
  const rough = (high - low || 1) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(one => one * power).find(one => one >= rough), found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + 1e-9 * step; at += step) found.push(at);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  return found.map(value => [value, value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1")]);
}

const LONG_NAME = 20;

// Names stand beside what is drawn, or above it where they are long.
function drawnRows(rows, scaleBelow) {
  const isLong = rows.some(([name]) => name.textContent.length > LONG_NAME);
  if (!isLong) return el("div", {class: "grid3"}, ...rows, ...(scaleBelow ? [el("span"), scaleBelow, el("span")] : []));
  return el("div", {class: "grid3 long"}, ...rows.map(([name, plot, printed]) => [name, printed, plot]), scaleBelow);
}

function figure(title, kind, ...children) {
  return el("figure", {class: `chart ${kind}`}, el("figcaption", {}, title), ...children);
}

function axis(low, high) {
  const at = scale(low, high);
  const labels = ticks(low, high).map(([value, text]) => svg("text", {x: at(value), y: 14, "text-anchor": "middle"}, text));
  return svg("svg", {class: "axis", "aria-hidden": "true"}, ...labels);
}

function forest({title, points, reference, most: limit}) {
  const ends = points.flatMap(one => [one.value, ...(one.interval || []), ...(one.paper === null ? [] : [one.paper])]);
  if (reference !== null) ends.push(reference);
  const [least, most] = [Math.min(...ends), Math.max(...ends)], room = (most - least || Math.abs(most) || 1) * 0.08;
  const [low, high] = [least - room, Math.min(most + room, limit ?? Infinity)], at = scale(low, high);
  const rows = points.map(({name, value, printed, interval, paper}) => [
    el("span", {class: "name"}, name),
    svg("svg", {class: "plot", "aria-hidden": "true"},
      ...ticks(low, high).map(([tick]) => svg("line", {class: "grid", x1: at(tick), x2: at(tick), y1: 0, y2: "100%"})),
      reference === null ? "" : svg("line", {class: "zero", x1: at(reference), x2: at(reference), y1: 0, y2: "100%"}),
      interval ? svg("line", {class: "interval", x1: at(interval[0]), x2: at(interval[1]), y1: "50%", y2: "50%"}) : "",
      ...(interval || []).map(end => svg("line", {class: "end", x1: at(end), x2: at(end), y1: "32%", y2: "68%"})),
      svg("circle", {class: "point", cx: at(value), cy: "50%", r: 4}),
      paper === null ? "" : svg("circle", {class: "theirs", cx: at(paper), cy: "50%", r: 4})),
    el("span", {class: "printed"}, printed, paper === null ? "" : el("span", {class: "ends"}, ` (${paper.toFixed(4)})`)),
  ]);
  const key = points.every(one => one.paper === null) ? "" : el("p", {class: "key"},
    el("span", {}, el("i", {class: "swatch here"}), "here"), el("span", {}, el("i", {class: "swatch theirs"}), "the paper"));
  return figure(title, "rows", key, drawnRows(rows, axis(low, high)));
}

function shares({title, parts, rows, scale: colours}) {
  const present = parts.map((_, place) => rows.some(row => row[1][place] > 0));
  const key = el("p", {class: "key"}, ...parts.map((part, place) => present[place]
    ? el("span", {}, el("i", {class: `swatch ${NAMES[colours][place]} of${place}`}), part) : ""));
  const drawn = rows.map(([name, own]) => {
    let from = 0;
    const bars = own.map((share, place) => {
      const x = from;
      from += share;
      return share ? svg("rect", {class: `${NAMES[colours][place]} of${place}`, x: `${100 * x}%`, y: "18%",
        width: `${100 * share}%`, height: "64%"}, svg("title", {}, `${parts[place]}: ${(100 * share).toFixed(1)} %`)) : "";
    });
    const told = own.map((share, place) => present[place] ? (100 * share).toFixed(0) : null).filter(one => one !== null);
    return [el("span", {class: "name"}, name), svg("svg", {class: "plot", "aria-hidden": "true"}, ...bars),
      el("span", {class: "printed"}, `${told.join(" / ")} %`)];
  });
  return figure(title, "rows", key, drawnRows(drawn));
}

function histogram(own, most, kind) {
  const width = 100 / own.length;
  return own.map((share, place) => share ? svg("rect", {class: kind, x: `${place * width}%`, width: `${width}%`,
    y: `${100 - 96 * share / most}%`, height: `${96 * share / most}%`}) : "");
}

function spread({title, low, high, rows}) {
  const most = Math.max(...rows.flatMap(row => row[2])), people = rows[0][0] === "people" ? rows[0][2] : [];
  const at = scale(low, high);
  const drawn = rows.map(([name, median, own]) => [
    el("span", {class: "name"}, name),
    svg("svg", {class: "plot", "aria-hidden": "true"}, ...histogram(people, most, "people"),
      ...(name === "people" ? [] : histogram(own, most, "own")),
      svg("line", {class: "median", x1: at(median), x2: at(median), y1: "4%", y2: "100%"})),
    el("span", {class: "printed"}, String(+median.toPrecision(4))),
  ]);
  return figure(title, "rows spread", drawnRows(drawn, axis(low, high)));
}

function path(points, x, y) {
  return points.map(([step, loss], place) => `${place ? "L" : "M"}${x(step).toFixed(2)} ${y(loss).toFixed(2)}`).join("");
}

function curve({title, about, steps, held_out}, low, high) {
  const last = Math.max(1, ...[...steps, ...held_out].map(one => one[0]));
  const x = step => 100 * step / last, y = loss => 100 - 100 * (loss - low) / (high - low || 1);
  const told = [...steps.slice(-1).map(one => `training ${one[1].toFixed(3)}`),
    ...held_out.slice(-1).map(one => `test split ${one[1].toFixed(3)}`)].join(", ");
  const plot = svg("svg", {class: "curve", viewBox: "0 0 100 100", preserveAspectRatio: "none", role: "img",
    "aria-label": `Loss by step; at the end ${told}`},
    ...ticks(low, high).map(([tick]) => svg("line", {class: "grid", x1: 0, x2: 100, y1: y(tick), y2: y(tick)})),
    svg("path", {class: "loss", d: path(steps, x, y)}), svg("path", {class: "held", d: path(held_out, x, y)}));
  const dots = held_out.length > 12 ? [] : held_out.map(([step, loss]) =>
    svg("circle", {class: "heldpoint", cx: `${x(step)}%`, cy: `${y(loss)}%`, r: 3.5}));
  const labels = ticks(low, high).map(([tick, text]) => svg("text", {x: "100%", y: `${y(tick)}%`, dy: 4, "text-anchor": "end"}, text));
  return figure(title, "curves", el("p", {class: "about"}, about, el("br"), `Loss at the end: ${told}`),
    el("div", {class: "plane"}, svg("svg", {class: "left", "aria-hidden": "true"}, ...labels),
      el("div", {class: "field"}, plot, svg("svg", {class: "over", "aria-hidden": "true"}, ...dots))),
    el("p", {class: "steps"}, el("span", {}, "0"), el("span", {}, counted(Math.round(last), "step"))));
}

function funnel({title, steps}) {
  const whole = Math.max(1, ...steps.map(one => one[1]));
  const drawn = steps.map(([name, count, lost]) => [
    el("span", {class: lost ? "name lost" : "name"}, lost ? `− ${name}` : name),
    svg("svg", {class: "plot", "aria-hidden": "true"}, svg("rect", {class: lost ? "loss" : "win", x: 0, y: "22%",
      width: `${Math.max(count ? 0.4 : 0, 100 * count / whole)}%`, height: "56%"})),
    el("span", {class: "printed"}, count.toLocaleString("en")),
  ]);
  return figure(title, "rows", drawnRows(drawn));
}

const CHARTS = {forest, shares, spread};
