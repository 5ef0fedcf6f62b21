// What pages do beyond links and forms: follow a job's log, fold its sections, draw a pipeline's edges, copy, switch.
"use strict";

// ---- logs: rows come from the server as safe HTML; `state` says where the next question begins.
class Log {
  constructor(root) {
    this.root = root;
    this.rows = root.querySelector(".rows");
    this.tail = root.querySelector(".tail");
    this.button = root.querySelector("[data-follow]");
    this.folded = new Set();
    this.state = root.dataset.state;
    this.live = "live" in root.dataset;
    this.following = this.live && !location.hash;
    this.settle(this.rows.children, JSON.parse(root.dataset.closed));
    this.rows.addEventListener("click", (event) => this.toggle(event.target.closest(".opens")));
    this.button.addEventListener("click", () => { this.following = true; this.scroll(); });
    addEventListener("scroll", () => this.watch(), { passive: true });
    this.mark();
    addEventListener("hashchange", () => this.mark());
    if (this.live || "more" in root.dataset) this.ask(0);
  }
  settle(rows, closed) {
    for (const row of rows) if ("collapsed" in row.dataset) this.fold(row, true);
    for (const [id, seconds] of closed) {
      const head = this.rows.querySelector(`[data-opens="${id}"] .text`);
      if (!head || head.querySelector(".took")) continue;
      const took = document.createElement("span");
      took.className = "took";
      took.textContent = `${String(Math.floor(seconds / 60)).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
      head.append(took);
    }
    for (const row of rows) this.hide(row);
  }
  toggle(row) {
    if (!row) return;
    this.fold(row, !this.folded.has(row.dataset.opens));
    for (const other of this.rows.querySelectorAll("[data-within]")) this.hide(other);
  }
  fold(row, closed) {
    closed ? this.folded.add(row.dataset.opens) : this.folded.delete(row.dataset.opens);
    row.querySelector(".fold").setAttribute("aria-expanded", String(!closed));
  }
  hide(row) {
    row.hidden = (row.dataset.within || "").split(" ").some((id) => this.folded.has(id));
  }
  mark() {
    this.rows.querySelector(".marked")?.classList.remove("marked");
    const row = /^#L\d+$/.test(location.hash) && this.rows.querySelector(location.hash);
    if (!row) return;
    for (const id of (row.dataset.within || "").split(" ")) {
      const head = this.rows.querySelector(`[data-opens="${id}"]`);
      if (head && this.folded.has(id)) this.toggle(head);
    }
    row.classList.add("marked");
    row.scrollIntoView({ block: "center" });
  }
  ask(wait) {
    setTimeout(async () => {
      try {
        const answer = await fetch(`${this.root.dataset.log}?state=${encodeURIComponent(this.state)}`);
        if (!answer.ok) throw new Error(answer.status);
        this.take(await answer.json());
      } catch {
        this.ask(3000); // the server is away for a moment
      }
    }, wait);
  }
  take(piece) {
    if (piece.fresh) { this.rows.replaceChildren(); this.folded.clear(); }
    const before = this.rows.children.length;
    this.rows.insertAdjacentHTML("beforeend", piece.html);
    this.tail.innerHTML = piece.tail;
    this.settle([...this.rows.children].slice(before), piece.closed);
    this.root.querySelector(".log-empty").hidden = Boolean(this.rows.children.length || piece.tail);
    this.state = piece.state;
    if (piece.more) this.ask(0);
    else if (!piece.over) this.ask(700);
    else { this.live = false; this.button.hidden = true; }
    if (this.following) this.scroll();
  }
  scroll() {
    if (this.live) this.root.scrollIntoView({ block: "end" });
    this.watch();
  }
  watch() {
    if (!this.live) return;
    const atEnd = this.root.getBoundingClientRect().bottom <= innerHeight + 60;
    this.following = atEnd;
    this.button.hidden = atEnd;
  }
}

// ---- pipelines: an edge from every needed job; without needs the columns alone tell the order.
function drawEdges(graph) {
  graph.querySelector("svg.edges")?.remove();
  if (graph.scrollWidth < 560) return;
  const frame = graph.getBoundingClientRect();
  const place = (x, y) => [x - frame.left + graph.scrollLeft, y - frame.top];
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.classList.add("edges");
  svg.setAttribute("width", graph.scrollWidth);
  svg.setAttribute("height", graph.scrollHeight);
  for (const pill of graph.querySelectorAll("[data-needs]")) {
    for (const id of pill.dataset.needs.trim().split(/\s+/)) {
      const from = id && document.getElementById(id);
      if (!from) continue;
      const a = from.getBoundingClientRect(), b = pill.getBoundingClientRect();
      if (b.left < a.right) continue;
      const [x1, y1] = place(a.right, a.top + a.height / 2), [x2, y2] = place(b.left, b.top + b.height / 2);
      const bend = Math.max(14, (x2 - x1) / 2);
      const dip = x2 - x1 > 1.1 * a.width ? 44 : 0; // an edge past a column runs below its first job
      const path = document.createElementNS(svg.namespaceURI, "path");
      path.setAttribute("d", `M${x1} ${y1}C${x1 + bend} ${y1 + dip} ${x2 - bend} ${y2 + dip} ${x2} ${y2}`);
      svg.append(path);
    }
  }
  graph.prepend(svg);
}
const drawAll = () => document.querySelectorAll("[data-graph]").forEach(drawEdges);

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) {
    await navigator.clipboard?.writeText(button.dataset.copy);
    button.classList.add("copied");
    setTimeout(() => button.classList.remove("copied"), 1500);
  }
  for (const menu of document.querySelectorAll("details.menu[open], details.confirm[open]"))
    if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open], details.confirm[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
document.addEventListener("change", (event) => {
  const form = event.target.matches("[data-switch]") && event.target.closest("[data-go]");
  if (!form) return;
  const quoted = (text) => text.split("/").map(encodeURIComponent).join("/");
  location.href = form.dataset.go + quoted(event.target.value) + (form.dataset.rest ? "/" + quoted(form.dataset.rest) : "");
});
document.addEventListener("htmx:afterSwap", drawAll);
addEventListener("resize", drawAll);
document.querySelectorAll("[data-log]").forEach((root) => new Log(root));
drawAll();
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// ---- the addresses that MLflow's clients print for their own pages lead to ours.
const printed = /^#\/experiments\/(\d+)(?:\/runs\/([0-9a-f]{32}))?/.exec(location.hash);
if (printed) location.replace(`/-/ml/go/${printed[2] || printed[1]}`);
