// The case viewer: what is shown of all cases, and how one comes to one of them.

const DEBOUNCE_MS = 160;
const Viewer = {entries: [], known: new Map(), shown: [], open: null, isRead: false, corpora: new Set()};

function add(read) {
  for (const one of read) {
    Viewer.corpora.add(one.corpus);
    for (const entry of entriesOf(one, Speakers)) {
      while (Viewer.known.has(entry.key)) entry.key += "~";
      Viewer.known.set(entry.key, entry);
      Viewer.entries.push(entry);
    }
  }
}

const manyCorpora = () => Viewer.corpora.size > 1;

function rowOf(entry) {
  const marks = (entry.one.talks ? [] : entry.tags).slice(0, 12).map(([name, result]) => {
    const kind = {win: "win", loss: "loss", draw: "draw", "turned with the order": "draw"}[result] || "none";
    return el("span", {class: `mark ${kind}`, title: `${name}: ${result}`}, SIGNS[result] || "◆");
  });
  const where = manyCorpora() ? `${entry.one.corpus}, ${entry.title}` : entry.title;
  const told = entry.tags.map(([name, result]) => `${name}: ${result}`).join(", ");
  return el("div", {class: "row", "aria-label": `${where}. ${entry.words.slice(0, 120)}. ${told}`},
    el("span", {class: "where"}, where), el("span", {class: "marks"}, ...marks, entry.one.talks ? counted(entry.one.talks.length, "dialogue") : ""),
    el("span", {class: "said", dir: "auto"}, entry.words.slice(0, 220)));
}

function choices(label, name, options) {
  return el("label", {}, el("span", {}, label), el("select", {name}, el("option", {value: ""}, "any"),
    ...options.map(([value, text]) => el("option", {value}, text))));
}

function filters(onchange) {
  const form = el("form", {class: "filters", role: "search", "aria-label": "Filter the cases"},
    choices("Method", "method", []), choices("Verdict", "verdict", []), choices("Turn", "turn", []),
    el("label", {class: "find"}, el("span", {}, "Text"), el("input", {type: "search", name: "text", placeholder: "in words, thoughts and reasons"})),
    el("label", {class: "check"}, el("input", {type: "checkbox", name: "thoughts", checked: true}), el("span", {}, "Thoughts")),
    el("p", {class: "count", role: "status", "aria-live": "polite"}));
  let wait = 0;
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("input", ({target}) => {
    if (target.name === "thoughts") return document.body.classList.toggle("silent", !target.checked);
    clearTimeout(wait);
    wait = setTimeout(onchange, target.name === "text" ? DEBOUNCE_MS : 0);
  });
  return form;
}

function offered(form) {
  const methods = new Set(Speakers.map(one => one.name)), verdicts = new Set();
  let turns = 0, live = false;
  for (const {tags, number, turn} of Viewer.entries) {
    for (const [, result] of tags) verdicts.add(result);
    if (Number.isInteger(number)) turns = Math.max(turns, number);
    live ||= turn === "live";
  }
  const fill = (name, options) => {
    const select = form.elements[name], value = select.value;
    select.replaceChildren(el("option", {value: ""}, "any"), ...options.map(([own, text]) => el("option", {value: own}, text)));
    select.value = value;
  };
  const first = Object.keys(SIGNS), order = one => first.includes(one) ? first.indexOf(one) : 99;
  fill("method", [...methods].map(one => [one, one]));
  fill("verdict", [...verdicts].sort((a, b) => order(a) - order(b) || a.localeCompare(b)).map(one => [one, one]));
  fill("turn", [...Array.from({length: turns}, (_, at) => [at + 1, `turn ${at + 1}`]),
    ...(turns ? [["end", "after the last reply"]] : []), ...(live ? [["live", "live dialogues"]] : [])]);
}

// In slices, so that no key press waits for it; whoever asks anew ends the search before.
async function search(wanted, asked) {
  const text = wanted.text.trim().toLowerCase(), found = [];
  let began = performance.now();
  for (const entry of Viewer.entries) {
    if (matches(entry, wanted) && (!text || (entry.text ??= textOf(entry)).includes(text))) found.push(entry);
    if (performance.now() - began > SLICE_MS) {
      await breath();
      if (Viewer.asked !== asked) return null;
      began = performance.now();
    }
  }
  return found;
}

async function refresh() {
  const asked = Viewer.asked = {};
  const wanted = Object.fromEntries(new FormData(Viewer.form));
  const found = await search(wanted, asked);
  if (!found) return;
  Viewer.shown = found;
  Viewer.list.fill(found, Viewer.open);
  const all = Viewer.entries.length, said = found.length === all ? counted(all, "case") : `${found.length.toLocaleString("en")} of ${counted(all, "case")}`;
  Viewer.form.querySelector(".count").textContent = Viewer.isRead ? said : `${said}, reading …`;
}

function openCase(key) {
  const entry = Viewer.known.get(key);
  if (entry && entry === Viewer.open) return;
  if (!entry) {
    Viewer.open = null;
    Viewer.detail.replaceChildren(el("p", {class: "note"}, Viewer.isRead ? "There is no such case on this page." : "Reading …"));
    return;
  }
  const before = Viewer.open;
  Viewer.open = entry;
  Viewer.detail.replaceChildren(...caseInFull(entry).flat());
  Viewer.list.select(entry);
  const chosen = byId("chosen");
  Viewer.detail.scrollTop = 0;
  if (chosen && entry.turn) chosen.querySelector("h3").scrollIntoView({block: "start"});
  if (!before || byId("cases").classList.contains("narrow")) Viewer.detail.querySelector("h2").focus({preventScroll: true});
}

// At once: the address is told of its change only later, when another key may have been pressed.
function goTo(entry) {
  if (!entry) return;
  location.hash = `#${entry.key}`;
  openCase(entry.key);
}

function keys(event) {
  if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = {j: 1, k: -1}[event.key];
  if (step) goTo(Viewer.open ? Viewer.list.beside(Viewer.open, step) : Viewer.shown[0]);
  if (event.key === "t") Viewer.form.elements.thoughts.click();
  if (event.key === "/") { event.preventDefault(); Viewer.form.elements.text.focus(); }
}

function showCases(data) {
  Speakers = data.speakers;
  Judges = data.judges;
  Viewer.form = filters(refresh);
  Viewer.list = virtualList("Cases", rowOf, goTo);
  Viewer.detail = el("div", {class: "detail", tabindex: 0, role: "region", "aria-label": "The chosen case"},
    el("p", {class: "note"}, data.told), ...data.gone.map(text => el("p", {class: "stamp"}, text)),
    el("p", {class: "note"}, "Arrow keys go through the list, j and k to the next and the one before, t hides the thoughts, / searches."));
  const step = (text, by, label) => el("button", {type: "button", "aria-label": label, onclick: () =>
    goTo(Viewer.open ? Viewer.list.beside(Viewer.open, by) : Viewer.shown[0])}, text);
  byId("cases").append(Viewer.form, el("div", {class: "panes"}, Viewer.list.element,
    el("div", {class: "pane"}, el("nav", {class: "steps", "aria-label": "Cases, one by one"},
      el("a", {href: "#cases", class: "back"}, "All cases"), step("Previous", -1, "Previous case"), step("Next", 1, "Next case")), Viewer.detail)));
  byId("cases").addEventListener("keydown", keys);
}

function openAddressed() {
  const hash = location.hash.slice(1);
  if (hash.startsWith("case/") && !Viewer.open && (Viewer.isRead || Viewer.known.has(hash))) openCase(hash);
}

// The cases lie in blocks, so that reading them never holds the page up for long.
async function readCases() {
  for (const block of document.querySelectorAll("script.cases")) {
    const isFirst = !Viewer.entries.length;
    add(parsed(block));
    block.remove();
    if (isFirst) refresh();
    openAddressed();
    await breath();
  }
  Viewer.isRead = true;
  Viewer.readAt = performance.now();
  offered(Viewer.form);
  await refresh();
  openAddressed();
}
