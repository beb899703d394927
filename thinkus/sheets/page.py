"""A sheet as a page for a browser: one file that needs no network, keeps what is clicked, and saves it as a table.

The texts on it are strangers': none of them may be run, or get in the way of another.
"""

import base64
import hashlib
import html
from collections.abc import Mapping
from string import Template

from thinkus.sheets.sheet import NOTE, SPEAKERS, Item, Question, Sheet, Text, digest
from thinkus.sheets.table import ITEM
from thinkus.terminal import plain

SHOWN_AT_ONCE = 2
"""Messages that need no unfolding: the person's last and the reply to it."""


def page_of(sheet: Sheet) -> str:
    count = len(sheet.items)
    return _PAGE.substitute(
        script=_SCRIPT,
        script_hash=_source_hash(_SCRIPT),
        style=_STYLE,
        style_hash=_source_hash(_STYLE),
        columns=" ".join([ITEM, *sheet.questions, NOTE]),
        sheet=digest([item.id for item in sheet.items])[:12],
        count=count,
        title=sheet.title,
        heading=sheet.heading,
        told="\n".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in sheet.told),
        keys=sheet.keys,
        articles="\n".join(
            _article(item, sheet.questions, f"{at} of {count}") for at, item in enumerate(sheet.items, 1)
        ),
    )


def _source_hash(source: str) -> str:
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _article(item: Item, questions: Mapping[str, Question], number: str) -> str:
    """An item on the page. Strangers' texts stand in it as escaped text, and nowhere else."""
    said = [_shown(Text("", SPEAKERS[message.role], message.content)) for message in item.history]
    earlier, last = said[:-SHOWN_AT_ONCE], said[-SHOWN_AT_ONCE:]
    parts = [
        f'<article id="{item.id}"><h2>{number}</h2>',
        *map(_shown, item.before),
        f"<details><summary>Earlier messages: {len(earlier)}</summary>" if earlier else "",
        *earlier,
        "</details>" if earlier else "",
        *(last or ["<p>The conversation has not begun.</p>"]),
        '<div class="weighed">',
        *map(_shown, item.after),
        "</div>",
        *(_fieldset(item.id, name, question) for name, question in questions.items()),
        f'<label>Anything else? <textarea name="{item.id} {NOTE}" rows="2"></textarea></label></article>',
    ]
    return "".join(parts)


def _shown(text: Text) -> str:
    words = html.escape(plain(text.words))
    return f'<section class="{text.look}"><h3>{text.heading}</h3><p dir="auto">{words}</p></section>'


def _fieldset(item: str, name: str, question: Question) -> str:
    buttons = "".join(
        f'<label><input type="radio" name="{item} {name}" value="{value}">{value}</label>'
        for value in question.answers
    )
    return f"<fieldset><legend>{html.escape(question.text)}</legend>{buttons}</fieldset>"


_STYLE = """
:root { color-scheme: light dark; --quiet: #595959; --line: #c4c4c4; --soft: #f2f2ee; --mark: #fff3cf; }
@media (prefers-color-scheme: dark) { :root { --quiet: #a8a8a8; --line: #555; --soft: #262624; --mark: #3a3115; } }
* { box-sizing: border-box; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 46rem; padding: 0 1rem 50vh; }
header { position: sticky; top: 0; background: Canvas; border-bottom: 1px solid var(--line); padding: .5rem 0;
  display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; z-index: 1; }
header progress { flex: 1 1 6rem; min-width: 4rem; }
button, fieldset label, summary { min-height: 2.75rem; font: inherit; padding: .4rem .9rem; cursor: pointer; }
article { border-bottom: 2px solid var(--line); padding: 1rem 0 2rem; scroll-margin-top: 6.5rem; }
article.done h2::after { content: " \\2713  rated"; color: var(--quiet); font-weight: normal; }
h2 { font-size: 1.1rem; } h3 { font-size: .85rem; color: var(--quiet); margin: 0; }
section { background: var(--soft); border-radius: .5rem; padding: .5rem .8rem; margin: .6rem 0; overflow: hidden; }
section p { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; }
.thought { background: var(--mark); border: 1px dashed var(--line); } .thought p { font-style: italic; }
.real { background: var(--mark); border: 1px solid var(--line); } .option { border: 1px solid var(--line); }
.option h3 { font-size: 1.1rem; color: CanvasText; } .silent p { font-style: italic; color: var(--quiet); }
.weighed { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 18rem), 1fr)); gap: .6rem; }
.weighed section { margin: 0; min-width: 0; max-height: 80vh; overflow-y: auto; }
.weighed section:not(.option) { grid-column: 1 / -1; }
fieldset { border: 0; padding: 0; margin: 1rem 0 0; min-width: 0; } legend { padding: 0 0 .3rem; }
fieldset label { display: inline-flex; align-items: center; gap: .4rem; border: 1px solid var(--line);
  border-radius: .5rem; margin: 0 .4rem .4rem 0; padding: .4rem .65rem; }
label:has(:checked) { outline: 2px solid Highlight; } label:focus-within { outline: 3px solid Highlight; }
textarea { display: block; width: 100%; font: inherit; }
"""

_SCRIPT = """
"use strict";
const {sheet, columns} = document.body.dataset, names = columns.split(" "), key = "human sheet " + sheet;
const articles = [...document.querySelectorAll("article")], inputs = [...document.querySelectorAll("[name]")];
const radios = inputs.filter(input => input.type === "radio"), say = document.getElementById("said");
let kept = {};
const unanswered = article => [...article.querySelectorAll("fieldset")].find(one => !one.querySelector(":checked"));
function progress() {
  for (const article of articles) article.classList.toggle("done", !unanswered(article));
  const done = articles.filter(article => !unanswered(article)).length;
  document.querySelector("progress").value = done;
  say.textContent = done + " of " + articles.length + " rated";
}
function keep() {
  try { localStorage.setItem(key, JSON.stringify(kept)); }
  catch { document.getElementById("warning").hidden = false; }
}
try { kept = JSON.parse(localStorage.getItem(key)) || {}; } catch {}
for (const input of inputs) {
  const value = kept[input.name];
  if (input.type === "radio") input.checked = input.value === value; else input.value = value || "";
}
keep(); progress();
document.addEventListener("input", ({target}) => { kept[target.name] = target.value; keep(); progress(); });
document.addEventListener("keydown", event => {
  const {target, key, ctrlKey, altKey, metaKey} = event;
  if (target.type !== "radio" || key.length !== 1 || ctrlKey || altKey || metaKey) return;
  const same = radios.filter(radio => radio.name === target.name);
  const chosen = same.find(radio => radio.value.toLowerCase().startsWith(key.toLowerCase()));
  if (!chosen) return;
  event.preventDefault(); chosen.click();
  const next = radios[radios.indexOf(same.at(-1)) + 1] || chosen, article = next.closest("article");
  next.focus();
  if (article !== target.closest("article")) article.scrollIntoView();
});
document.getElementById("next").addEventListener("click", () => {
  const article = articles.find(unanswered);
  if (!article) return;
  article.scrollIntoView(); unanswered(article).querySelector("input").focus({preventScroll: true});
});
document.getElementById("save").addEventListener("click", () => {
  const quoted = text => '"' + text.replace(/\\s+/g, " ").replaceAll('"', '""') + '"';
  const rows = articles.map(({id}) => names.map(name => quoted(name === "item" ? id : kept[id + " " + name] || "")));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([[names, ...rows].join("\\r\\n") + "\\r\\n"], {type: "text/csv"}));
  link.download = "human-sheet-rated.csv";
  link.click();
});
"""

_PAGE = Template("""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title>
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; script-src 'sha256-$script_hash'; style-src 'sha256-$style_hash'">
<meta name="viewport" content="width=device-width, initial-scale=1"><style>$style</style></head>
<body data-sheet="$sheet" data-columns="$columns">
<header><strong id="said" role="status"></strong><progress value="0" max="$count"></progress>
<button id="next">Next unrated</button><button id="save">Save as a file</button></header>
<main><h1>$heading</h1>
$told
<p>This browser keeps your ratings while you work. At the end, save them as a file and send that file back.
Keys: Tab goes from question to question; $keys answer and go on.</p>
<p id="warning" role="alert" hidden>This browser keeps nothing: save the file before you close the page.</p>
<noscript><p>This page needs JavaScript; the table beside it does not.</p></noscript>
$articles
</main><script>$script</script></body></html>
""")
