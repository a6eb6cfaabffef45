// What the pages do beyond HTML. Every page works without it; this makes it pleasant.
// It is loaded first and at once, so that a chosen theme is there before the first paint.
(() => {
  "use strict";
  const root = document.documentElement;

  // --- Theme: the system's, or the one chosen here -------------------------------
  const chosen = localStorage.getItem("theme");
  if (chosen) root.dataset.theme = chosen;

  function switchTheme() {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
  }

  // --- Panels: open or closed, as they were left on any page ------------------------
  function keepPanels() {
    for (const panel of document.querySelectorAll("details[data-kept]")) {
      const name = `open-${panel.id}`;
      panel.open = localStorage.getItem(name) === "yes";
      panel.addEventListener("toggle", () => localStorage.setItem(name, panel.open ? "yes" : "no"));
    }
  }

  // --- Density: comfortable, or compact where that was chosen here -----------------
  if (localStorage.getItem("density") === "compact") root.dataset.density = "compact";

  function switchDensity(button) {
    if (root.dataset.density) delete root.dataset.density;
    else root.dataset.density = "compact";
    localStorage.setItem("density", root.dataset.density ?? "comfortable");
    button.setAttribute("aria-pressed", String("density" in root.dataset));
  }

  // --- Times: relative, by the server's clock ------------------------------------
  let ahead = 0; // by how many milliseconds the server's clock is ahead of ours
  let offset = Date.now() - performance.now(); // changes when our clock is set

  let setting = false;

  // Ours was set, or this computer slept: ask the server what time it is.
  async function setClock() {
    const now = Date.now() - performance.now();
    if (setting || Math.abs(now - offset) < 2000) return;
    setting = true;
    const answer = await fetch("/healthz", { cache: "no-store" }).catch(() => null);
    setting = false;
    const said = Date.parse(answer?.headers.get("date"));
    if (!said) return; // asked again in a second
    offset = now;
    ahead = said - Date.now();
  }

  function told(milliseconds) {
    const seconds = Math.max(0, Math.round(Math.abs(milliseconds) / 1000));
    if (seconds < 60) return `${seconds} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
    return `${Math.floor(seconds / 86400)} d`;
  }

  function tellTimes() {
    const now = Date.now() + ahead;
    for (const time of document.querySelectorAll("time:not([data-plain])")) {
      const age = now - Date.parse(time.dateTime);
      let text = told(age);
      if ("for" in time.dataset) text = `for ${text}`;
      else if ("due" in time.dataset) text = age < -1000 ? `in ${text}` : "now";
      else if (age < -1000) text = `in ${text}`;
      else if (!("elapsed" in time.dataset)) text = age < 5000 ? "just now" : `${text} ago`;
      if (time.textContent !== text) time.textContent = text;
    }
  }

  // --- Logs: stay at the end while the reader is there ----------------------------
  const atEnd = new Set();

  function noteLogs() {
    for (const log of document.querySelectorAll("[data-follow]")) {
      const gap = log.scrollHeight - log.scrollTop - log.clientHeight;
      if (gap < 24) atEnd.add(log.id);
      else atEnd.delete(log.id);
    }
  }

  function followLogs() {
    for (const log of document.querySelectorAll("[data-follow]")) {
      if (atEnd.has(log.id)) log.scrollTop = log.scrollHeight;
    }
  }

  // --- Chosen rows: a row that is patched keeps its tick ---------------------------
  const ticked = new Set();

  function choose(event) {
    const box = event.target;
    if (box.matches("[data-choose]")) note(box);
    else if (box.matches("[data-choose-all]")) {
      for (const one of document.querySelectorAll("[data-choose]")) {
        one.checked = box.checked;
        note(one);
      }
    } else return;
    showChosen();
  }

  function note(box) {
    if (box.checked) ticked.add(box.value);
    else ticked.delete(box.value);
  }

  function showChosen() {
    const boxes = [...document.querySelectorAll("[data-choose]")];
    for (const box of boxes) {
      if (box.checked !== ticked.has(box.value)) box.checked = !box.checked;
    }
    const count = boxes.filter((box) => box.checked).length;
    const all = document.querySelector("[data-choose-all]");
    if (all) {
      all.hidden = false;
      all.checked = count > 0 && count === boxes.length;
      all.indeterminate = count > 0 && count < boxes.length;
    }
    const deeds = document.querySelectorAll("#chosen button");
    for (const deed of deeds) deed.disabled = count === 0;
    const told = document.getElementById("how-many");
    const text = `${count} selected`;
    if (told && told.textContent !== text) told.textContent = text;
  }

  // --- After every change of the page --------------------------------------------
  let leaving = false;

  function refine() {
    tellTimes();
    showChosen();
    followLogs();
    const spoken = document.getElementById("spoken");
    const news = document.querySelector("[data-spoken]")?.dataset.spoken;
    if (news && spoken.textContent !== news) spoken.textContent = news;
    const go = document.querySelector("[data-go]");
    if (go && !leaving) {
      leaving = true;
      location.replace(go.dataset.go);
    }
  }

  // --- The live stream -------------------------------------------------------------
  // hx-sse opens a stream again whenever it breaks, but it never gets over a failure of
  // the very first request, nor notices a connection that is dead yet not closed; and
  // its own attribute is overlooked when htmx starts before it. So it is started here.
  const SILENCE = 40_000;
  let live = null; // the element whose stream it is
  let connection = null;
  let opening = false;
  let heardAt = 0;
  let heard = false; // whether this connection has said anything, as every stream does

  function isLive(yes) {
    root.dataset.live = yes ? "yes" : "no";
  }

  async function open() {
    if (connection || opening || document.hidden) return;
    opening = true;
    await htmx.ajax("GET", live.dataset.stream, { source: live });
    opening = false;
    if (connection || document.hidden) return;
    if (root.dataset.live !== "refused") isLive(false);
    setTimeout(open, 1000 + Math.random() * 1000);
  }

  function connect(event) {
    connection = event.detail.connection;
    heardAt = Date.now();
    heard = false;
  }

  function hear() {
    heardAt = Date.now();
    heard = true;
    isLive(true);
    sessionStorage.removeItem("refused");
  }

  // A page that is no stream is answered where a login stands before the server.
  function connectAgain() {
    if (connection && !heard) isLive(false);
  }

  function stumble(event) {
    const status = event.detail.status ?? event.detail.ctx?.response?.status;
    if (status === 401 || status === 403) refused();
    else isLive(false);
  }

  // Whoever is logged out is sent to the page once: there is the login, or what it says.
  function refused() {
    root.dataset.live = "refused";
    if (sessionStorage.getItem("refused")) return;
    sessionStorage.setItem("refused", "yes");
    location.reload();
  }

  function close() {
    connection = null;
    setTimeout(open, 1000);
  }

  function listenAgainIfSilent() {
    heardAt = Math.min(heardAt, Date.now()); // our clock may have been set back
    if (!connection || document.hidden || Date.now() - heardAt < SILENCE) return;
    heardAt = Date.now();
    isLive(false);
    connection.reader?.cancel();
  }

  function listen() {
    live = document.getElementById("live");
    if (!live) return;
    const reactions = {
      "htmx:sse:before:connection": connectAgain,
      "htmx:sse:after:connection": connect,
      "htmx:sse:after:message": hear,
      "htmx:sse:error": stumble,
      "htmx:sse:close": close,
      "htmx:response:error": stumble,
      "htmx:error": stumble,
      "htmx:before:swap": noteLogs,
      "htmx:after:swap": refine,
    };
    for (const name in reactions) live.addEventListener(name, reactions[name]);
    addEventListener("online", () => connection?.delayCanceller?.());
    document.addEventListener("visibilitychange", () => {
      heardAt = Date.now();
      open();
    });
    setInterval(listenAgainIfSilent, 1000);
    open();
  }

  // --- Buttons -----------------------------------------------------------------------
  function press(event) {
    const button = event.target.closest(
      "[data-theme-toggle], [data-density-toggle], [data-dialog], [data-close]",
    );
    if (!button) return;
    if ("themeToggle" in button.dataset) return switchTheme();
    if ("densityToggle" in button.dataset) return switchDensity(button);
    const dialog = button.dataset.dialog
      ? document.getElementById(button.dataset.dialog)
      : button.closest("dialog");
    if (!dialog) return;
    event.preventDefault();
    if (dialog.open) dialog.close();
    else dialog.showModal();
  }

  // A second press asks for nothing: the key in the form says it is the same wish.
  // The button shows that the first one was taken.
  function submitted(event) {
    if (event.target.method !== "post" || !event.submitter) return;
    event.submitter.setAttribute("aria-busy", "true");
  }

  document.addEventListener("click", press);
  document.addEventListener("change", choose);
  document.addEventListener("submit", submitted);
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload(); // back again: show what is true now
  });
  document.addEventListener("DOMContentLoaded", () => {
    const now = document.querySelector("meta[name=earmark-now]");
    if (now) ahead = Date.parse(now.content) - Date.now();
    for (const toggle of document.querySelectorAll("[data-theme-toggle]")) {
      toggle.hidden = false;
    }
    for (const toggle of document.querySelectorAll("[data-density-toggle]")) {
      toggle.hidden = false;
      toggle.setAttribute("aria-pressed", String("density" in root.dataset));
    }
    for (const log of document.querySelectorAll("[data-follow]")) {
      log.scrollTop = log.scrollHeight;
    }
    keepPanels();
    for (const box of document.querySelectorAll("[data-choose]")) note(box);
    refine();
    listen();
    setInterval(() => {
      setClock();
      tellTimes();
    }, 1000);
  });
})();
