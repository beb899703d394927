// A list of any length of which only the rows in sight exist: each is as high as the others.

function virtualList(label, drawn, chosen) {
  const inner = el("div", {class: "rows"});
  const list = el("div", {class: "list", role: "listbox", tabindex: 0, "aria-label": label}, inner);
  const rows = new Map();
  let entries = [], active = -1, height = 0;

  const tall = () => height ||= inner.firstChild ? inner.firstChild.getBoundingClientRect().height : 0;
  function row(place) {
    const made = drawn(entries[place]);
    made.id = `row-${place}`;
    made.setAttribute("role", "option");
    made.setAttribute("aria-posinset", place + 1);
    made.setAttribute("aria-setsize", entries.length);
    made.setAttribute("aria-selected", place === active);
    made.style.top = `calc(${place} * var(--row))`;
    made.addEventListener("click", () => chosen(entries[place]));
    return made;
  }
  function draw() {
    if (!entries.length) return rows.forEach(one => one.remove()), rows.clear();
    if (!rows.size) { rows.set(0, row(0)); inner.append(rows.get(0)); }
    const first = Math.max(0, Math.floor(list.scrollTop / (tall() || 1)) - 6);
    const last = Math.min(entries.length, first + Math.ceil(list.clientHeight / (tall() || 1)) + 12);
    for (const [place, one] of rows) if (place < first || place >= last) { one.remove(); rows.delete(place); }
    for (let place = first; place < last; place++)
      if (!rows.has(place)) { rows.set(place, row(place)); inner.append(rows.get(place)); }
  }
  function activate(place) {
    rows.get(active)?.setAttribute("aria-selected", false);
    active = place;
    rows.get(active)?.setAttribute("aria-selected", true);
    if (active < 0) return list.removeAttribute("aria-activedescendant");
    list.setAttribute("aria-activedescendant", `row-${active}`);
    const top = active * tall(), low = top + tall() - list.clientHeight;
    if (list.scrollTop > top) list.scrollTop = top;
    else if (list.scrollTop < low) list.scrollTop = low;
    draw();
  }
  function move(event) {
    const page = Math.max(1, Math.floor(list.clientHeight / (tall() || 1)) - 1);
    const steps = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -entries.length, End: entries.length};
    if (!(event.key in steps) || !entries.length) return;
    event.preventDefault();
    chosen(entries[Math.min(entries.length - 1, Math.max(0, active + steps[event.key]))]);
  }
  list.addEventListener("scroll", draw, {passive: true});
  list.addEventListener("keydown", move);
  new ResizeObserver(() => { height = 0; draw(); }).observe(list);
  return {
    element: list,
    fill(found, keeping) {
      entries = found;
      rows.forEach(one => one.remove());
      rows.clear();
      inner.style.height = `calc(${entries.length} * var(--row))`;
      active = entries.indexOf(keeping);
      draw();
      activate(active);
    },
    select(entry) { activate(entries.indexOf(entry)); },
    beside(entry, by) { return entries[entries.indexOf(entry) + by]; },
  };
}
