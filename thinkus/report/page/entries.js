// Cases as a list knows them: an entry for each turn of a conversation, and for each scenario with live dialogues.

const SIGNS = {win: "▲", loss: "▼", draw: "=", "turned with the order": "≈", invalid: "?"};
const LEAVES = "leaves while the person goes on", FAILED = "failed";
const SLICE_MS = 8;
const breath = () => new Promise(done => { const {port1, port2} = new MessageChannel(); port1.onmessage = done; port2.postMessage(0); });

const leaves = (one, turn, replayed) => !one.words && !one.failed && turn < replayed.turns.length - 1;

function addressed(one, turn) {
  return `case/${[one.corpus, one.id, turn].map(encodeURIComponent).join("/")}`;
}

function spokenTags(one, turn, replayed, speakers) {
  const came = (one.rulings || []).map(ruling => ruling.came_to);
  if (one.failed) came.push(FAILED);
  if (leaves(one, turn, replayed)) came.push(LEAVES);
  return came.map(result => [speakers[one.by].name, result]);
}

function entriesOf(one, speakers) {
  if (one.talks) {
    const tags = one.talks.flatMap(talk => (talk.rulings || []).map(ruling => [speakers[talk.by].name, ruling.came_to]));
    return [{one, turn: "live", number: "live", title: "live dialogues", words: one.scenario, tags, key: addressed(one, "live")}];
  }
  const said = one.messages.filter(([role]) => role === "user").map(([, text]) => text), last = said.length;
  return one.turns.map((spoken, turn) => ({
    one, turn, number: turn === last ? "end" : turn + 1, key: addressed(one, turn === last ? "end" : turn + 1),
    title: turn === last ? `after turn ${last}, the last` : `turn ${turn + 1} of ${last}`,
    words: turn === last ? one.thoughts[last] || "the person leaves" : said[turn],
    tags: spoken.flatMap(each => spokenTags(each, turn, one, speakers)),
  }));
}

function textOf({one, turn}) {
  const opinions = rulings => (rulings || []).flatMap(ruling => [ruling.note, ...(ruling.opinions || []).map(opinion => opinion.why)]);
  const parts = [one.id, one.corpus, one.scenario, one.motivation];
  if (one.talks) for (const talk of one.talks) parts.push(...talk.exchanges.flat(), talk.why, ...opinions(talk.rulings));
  else {
    parts.push(one.thoughts[turn], ...around(one, turn).map(message => message[1]));
    for (const each of one.turns[turn]) parts.push(each.words, each.thought, each.failed, ...opinions(each.rulings));
  }
  return parts.filter(Boolean).join("\n").toLowerCase();
}

// The messages of a turn: what came after the person's last words, and the person's words.
function around(one, turn) {
  const places = one.messages.flatMap(([role], place) => role === "user" ? [place] : []);
  const from = turn ? places[turn - 1] + 1 : 0, to = turn < places.length ? places[turn] + 1 : one.messages.length;
  return one.messages.slice(from, to);
}

function matches(entry, {method, verdict, turn}) {
  if (turn && String(entry.number) !== turn) return false;
  if (!verdict) return !method || speaks(entry, method);
  return entry.tags.some(([name, result]) => (!method || name === method) && result === verdict);
}

function speaks({one, turn}, method) {
  return (one.talks || one.turns[turn]).some(each => Speakers[each.by].name === method);
}

let Speakers = [], Judges = [];
