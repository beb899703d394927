// The report's own part: tables as they are printed, with a small bar for each interval.

function cell([value, interval, percentile], at) {
  if (!interval) return el("td", {class: "figure"}, value);
  const [low, high] = interval.map(number);
  const bar = at && svg("svg", {class: "mini", "aria-hidden": "true"},
    svg("line", {class: "interval", x1: at(low), x2: at(high), y1: "50%", y2: "50%"}),
    svg("circle", {class: "point", cx: at(number(value)), cy: "50%", r: 2.5}));
  return el("td", {class: "figure"}, value, " ",
    el("span", {class: "ends"}, `${percentile ? "~" : ""}[${interval.join(", ")}]`), bar);
}

function common(cells) {
  const ends = cells.filter(one => one[1]).flatMap(([value, interval]) => [value, ...interval].map(number));
  return ends.length && !ends.includes(null) ? scale(Math.min(...ends), Math.max(...ends)) : null;
}

function scrolled(label, table) {
  return el("div", {class: "wide", tabindex: 0, role: "region", "aria-label": label}, table);
}

function linesTable([title, above, columns, rows]) {
  const head = el("thead", {}, el("tr", {}, el("th", {scope: "col"}, title),
    ...columns.map(name => el("th", {scope: "col", class: "figure"}, name))));
  const body = el("tbody", {}, ...rows.map(([name, cells]) => {
    const at = columns.includes("difference") ? null : common(cells);  // a figure and a difference share no scale
    const inner = name.startsWith("  ");
    return el("tr", {class: inner ? "inner" : null}, el("th", {scope: "row"}, name.trim()), ...cells.map(one => cell(one, at)));
  }));
  return scrolled(title, el("table", {}, above ? el("caption", {}, above) : "", head, body));
}

const SURE = 0.05;
const probability = p => p === null ? "-" : p < 0.0001 ? "< 0.0001" : p.toFixed(4);

function differencesTable(differences) {
  const names = ["difference", "", "p", "p, Holm", "could have been seen from", "conversations"];
  const rows = differences.map(one => {
    const [low, high] = (one.difference[1] || [null, null]).map(end => end === null ? null : number(end));
    const reach = Math.max(...[one.difference[0], low, high].map(end => Math.abs(typeof end === "string" ? number(end) : end || 0)));
    const at = scale(-reach || -1, reach || 1);
    const row = cell(one.difference, null);
    if (low !== null && high !== null) row.append(svg("svg", {class: "mini", "aria-hidden": "true"},
      svg("line", {class: "zero", x1: "50%", x2: "50%", y1: 0, y2: "100%"}),
      svg("line", {class: "interval", x1: at(low), x2: at(high), y1: "50%", y2: "50%"}),
      svg("circle", {class: "point", cx: at(number(one.difference[0])), cy: "50%", r: 2.5})));
    const sure = one.p_holm !== null && one.p_holm < SURE;
    return el("tr", {class: sure ? "sure" : null},
      el("th", {scope: "row"}, el("span", {class: "what"}, one.figure.trim()), ` ${one.one} − ${one.other}`), row,
      ...[probability(one.p), probability(one.p_holm), one.smallest].map(text => el("td", {class: "figure"}, text)),
      el("td", {class: "figure"}, one.conversations.toLocaleString("en"), one.left_out ? ` (${one.left_out.toLocaleString("en")} left out)` : ""));
  });
  return scrolled("Differences", el("table", {class: "differences"},
    el("thead", {}, el("tr", {}, ...names.map((name, place) => el("th", {scope: "col", class: place ? "figure" : null}, name)))),
    el("tbody", {}, ...rows)));
}

const MANY = 12;

function differencesOf(differences, about) {
  if (!differences.length) return [];
  const sure = differences.filter(one => one.p_holm !== null && one.p_holm < SURE).length;
  const told = `${counted(differences.length, "difference")}, ${sure.toLocaleString("en")} with p < ${SURE} after Holm's correction`;
  return [el("h3", {}, "Differences"), el("details", {open: differences.length <= MANY ? true : null}, el("summary", {}, told),
    differencesTable(differences), el("p", {class: "note"}, about))];
}

function section({section: own, charts}, place, about) {
  const notes = text => el("p", {class: text.startsWith("NOT TO BE TRUSTED") ? "stamp" : "note"}, text);
  return el("section", {id: `section-${place}`, "aria-labelledby": `title-${place}`},
    el("h2", {id: `title-${place}`}, own.title),
    charts.length ? el("div", {class: charts.length > 2 ? "charts led" : "charts"}, ...charts.map(one => CHARTS[one.kind](one))) : "",
    ...own.told.map(told => typeof told === "string" ? notes(told) : linesTable(told)),
    ...differencesOf(own.differences, about));
}

function part(id, title, note, children) {
  return children.length ? [el("section", {id}, el("h2", {}, title), note ? el("p", {class: "note"}, note) : "",
    el("div", {class: "charts"}, ...children))] : [];
}

function contents(sections) {
  return el("nav", {class: "contents", "aria-label": "Contents"}, el("ol", {}, ...sections.map(one =>
    el("li", {}, el("a", {href: `#${one.id}`}, one.querySelector("h2").textContent)))));
}

function showReport(data) {
  const losses = data.curves.flatMap(one => [...one.steps, ...one.held_out].map(point => point[1]));
  const sections = [
    ...data.sections.map((one, place) => section(one, place + 1, data.about_differences)),
    ...data.spreads.flatMap(([title, own], place) => part(`likeness-${place + 1}`, ["How people sound, and those who play them", title].filter(Boolean).join(": "),
      "Grey: people. The line is the median, printed at the right; the outermost hundredths stand in the last bins.", own.map(spread))),
    ...part("training", "Training", "The loss of each step's samples before the step (line), and on the test split (dots).",
      data.curves.map(one => curve(one, Math.min(...losses), Math.max(...losses)))),
    ...part("funnel", "Where the data come from", "What was read, what went (−) and why, and what was left.", data.funnels.map(funnel)),
  ];
  byId("report").append(
    el("header", {class: "head"}, el("h1", {}, data.title),
      ...data.stamps.map(text => el("p", {class: "stamp", role: "note"}, text)),
      el("dl", {}, ...data.facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
      ...data.terms.map(text => el("p", {class: "terms"}, text))),
    contents(sections), ...sections,
    el("footer", {}, el("p", {}, data.use)));
}
