// A case in full: the conversation, and at each turn the person beside all who would have stood in their place.

const LONG = 1200;

function words(text, kind) {
  const made = el("p", {class: `words ${kind || ""}`, dir: "auto"}, text);
  if (text.length < LONG) return made;
  made.classList.add("clamped");
  const more = el("button", {type: "button", class: "more", "aria-expanded": "false", onclick() {
    const open = !made.classList.toggle("clamped");
    more.setAttribute("aria-expanded", open);
    more.textContent = open ? "Show less" : "Show all of it";
  }}, "Show all of it");
  return [made, more];
}

const thought = text => text === null || text === undefined ? "" :
  el("div", {class: "thought"}, el("span", {class: "label"}, "thinks"), words(text, ""));

function badge(cameTo, count) {
  const kind = {win: "win", loss: "loss", draw: "draw", "turned with the order": "draw"}[cameTo] || "none";
  return el("span", {class: `badge ${kind}`}, el("span", {"aria-hidden": "true"}, SIGNS[cameTo] || "◆"), ` ${cameTo}`, count > 1 ? ` × ${count}` : "");
}

function opinion(one, judge, name) {
  const against = Speakers.find(each => each.run === judge.against)?.name || judge.against || "the other";
  const who = {candidate: name, baseline: against, neither: "neither"};
  const said = judge.task === "pairwise" && who[one.said] ? `closer: ${who[one.said]}` : one.said;
  return el("li", {}, one.first ? el("span", {class: "order"}, `${who[one.first]} first: `) : "", el("b", {}, said),
    one.why ? words(one.why, "why") : "");
}

function ruled(rulings, name) {
  if (!rulings || !rulings.length) return "";
  const counts = new Map();
  for (const one of rulings) counts.set(one.came_to, (counts.get(one.came_to) || 0) + 1);
  const told = rulings.map(one => {
    const judge = Judges[one.judge];
    const against = judge.against && judge.task === "pairwise" ? ` against ${judge.against}` : "";
    return el("div", {class: "ruling"}, el("p", {class: "by"}, `${one.came_to}${against}, by ${judge.name}`),
      one.note ? el("p", {class: "note", dir: "auto"}, one.note) : "",
      one.opinions ? el("ul", {}, ...one.opinions.map(each => opinion(each, judge, name))) : "");
  });
  return el("div", {class: "rulings"}, el("p", {class: "badges"}, ...[...counts].map(([one, count]) => badge(one, count))),
    el("details", {}, el("summary", {}, "What the judge said"), ...told));
}

function speaker(one, turn, replayed) {
  const {name, run} = Speakers[one.by];
  const said = one.failed ? el("p", {class: "nothing"}, `failed: ${one.failed}`)
    : one.words ? words(one.words) : el("p", {class: "nothing"}, "leaves here");
  return el("article", {class: leaves(one, turn, replayed) || one.failed ? "spoken odd" : "spoken", "aria-label": name},
    el("h4", {title: run}, name), thought(one.thought), said, ruled(one.rulings, name));
}

function turnOf(one, turn, chosen) {
  const last = turn === one.turns.length - 1, messages = around(one, turn);
  const real = last ? null : messages.at(-1)[1], before = last ? messages : messages.slice(0, -1);
  const key = addressed(one, last ? "end" : turn + 1), name = last ? "After the last reply" : `Turn ${turn + 1}`;
  const person = el("article", {class: "spoken person", "aria-label": "the person"}, el("h4", {}, "the person"),
    thought(one.thoughts[turn]), last ? el("p", {class: "nothing"}, "left here") : words(real), last ? ruled(one.last, "") : "");
  return el("section", {class: chosen ? "turn chosen" : "turn", id: chosen ? "chosen" : null, "aria-label": name},
    ...before.map(([role, text]) => el("div", {class: "reply"}, el("h4", {}, role === "assistant" ? "the assistant" : role), words(text))),
    el("h3", {}, el("a", {href: `#${key}`, title: "A link to this case"}, name)),
    el("div", {class: "beside"}, person, ...one.turns[turn].map(each => speaker(each, turn, one))));
}

function talk(one) {
  const {name, run} = Speakers[one.by];
  const said = one.exchanges.map(([own, thinks, reply]) => [
    el("div", {class: "own"}, thought(thinks), own ? words(own) : el("p", {class: "nothing"}, "leaves here")),
    reply === null ? "" : el("div", {class: "reply"}, el("h5", {}, "the assistant"), words(reply))]);
  return el("article", {class: "talk", "aria-label": name}, el("h4", {title: run}, name), ruled(one.rulings, name),
    ...said, el("p", {class: "note"}, `ended by ${one.ended_by.replaceAll("_", " ")}`, one.why ? `: ${one.why}` : ""));
}

function caseInFull({one, turn, key, title}) {
  const scenario = el("details", {class: "scenario", open: one.talks ? true : null}, el("summary", {}, "Scenario and motivation"),
    one.scenario ? words(one.scenario) : el("p", {class: "nothing"}, "none"), one.motivation ? words(one.motivation) : "");
  const inner = one.talks ? [el("div", {class: "beside talks"}, ...one.talks.map(talk))]
    : one.turns.map((_, place) => turnOf(one, place, place === turn));
  return [el("h2", {tabindex: -1}, el("span", {class: "where"}, one.corpus ? `${one.corpus}, ${title}` : title), " ", el("a", {class: "id", href: `#${key}`,
    title: "A link to this case"}, one.id)), scenario, ...inner];
}
