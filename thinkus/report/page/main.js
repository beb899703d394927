// What is in sight hangs on the address alone, so that any address can be sent to somebody.

function route() {
  const hash = location.hash.slice(1), onCases = hash === "cases" || hash.startsWith("case/");
  byId("report").hidden = onCases;
  byId("cases").hidden = !onCases;
  document.body.classList.toggle("reading", hash.startsWith("case/"));
  for (const link of document.querySelectorAll(".bar a"))
    link.toggleAttribute("aria-current", (link.hash === "#cases") === onCases);
  if (hash.startsWith("case/")) openCase(hash);
  else if (hash && hash !== "cases" && hash !== "report") byId(hash)?.scrollIntoView();
  else if (!onCases) scrollTo(0, 0);
}

const data = parsed(byId("data"));
byId("name").textContent = data.name;
showReport(data);
showCases(data.cases);
addEventListener("hashchange", route);
addEventListener("beforeprint", () => document.querySelectorAll("#report details").forEach(one => { one.open = true; }));
document.querySelector(".skip").addEventListener("click", event => {
  event.preventDefault();
  byId("content").focus();
});
route();
readCases();
