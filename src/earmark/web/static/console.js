// A console: a ticket, a stream, then noVNC. The ticket goes out as the first message of
// the stream, never in an address. Until the console is ready the server says in JSON how
// far it is; from then on the stream is noVNC's, but for the server's last word.
import RFB from "./vendor/novnc-1.7.0/core/rfb.js";

const byId = (id) => document.getElementById(id);
const page = byId("console");
const screen = byId("screen");
const again = byId("console-again");
const inUse = byId("console-in-use");
const AT_ONCE = 8_000; // no ticket takes longer
const GIVE_UP = 15_000; // the server gives up after 10 s, and says why
const PAUSE = 1000;

// Endings that most likely pass by themselves: the console is asked for again, for so
// long after it was opened, or after its picture was lost.
const PASSING = new Set(["worker-stopped", "worker-lost", "restart", "lost", "unreachable"]);
const PATIENCE = 30_000;
const LOGGED_OUT = "You are logged out, or may not open this console. Load this page again.";

let current = null; // the attempt that the page is about
// The console that this page had last; a reload is the same page to whoever looks at it,
// a second tab is not, even if it is a copy of this one.
const reloaded = performance.getEntriesByType("navigation")[0]?.type === "reload";
let before = (reloaded && sessionStorage.getItem(location.pathname)) || "";
let patientUntil = 0;

function show(state, text) {
  page.dataset.state = state;
  for (const look of page.querySelectorAll("[data-look]")) {
    look.hidden = look.dataset.look !== state;
  }
  byId("console-said").textContent = text;
  again.hidden = state !== "ended";
  for (const id of ["console-cad", "console-leave"]) byId(id).disabled = state !== "connected";
}

async function ticket() {
  const patience = AbortSignal.timeout(AT_ONCE);
  const asked = { method: "POST", signal: patience, redirect: "manual" };
  const answer = await fetch(page.dataset.tickets, asked);
  // What is no JSON was answered by something before the server: a proxy, a login.
  const said = await answer.json().catch(() => null);
  if (said) return answer.ok ? said : Promise.reject(new Refused(said.code, said.text));
  const loggedOut = answer.type === "opaqueredirect" || [401, 403].includes(answer.status);
  if (loggedOut) throw new Refused("session", LOGGED_OUT);
  throw new Refused("unreachable", "The server does not answer.");
}

class Refused extends Error {
  constructor(code, text) {
    super(text);
    this.code = code;
  }
}

class Attempt {
  constructor(takeOver) {
    this.takeOver = takeOver;
    this.ending = null;
    this.drawn = false;
  }

  async start() {
    try {
      const given = await ticket();
      if (this === current) this.join(given);
    } catch (error) {
      if (error instanceof Refused) this.over(error.code, error.message);
      else this.over("unreachable", "The server does not answer.");
    }
  }

  join(given) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const path = `/consoles/${encodeURIComponent(given.console)}/stream`;
    this.socket = new WebSocket(`${scheme}://${location.host}${path}`);
    this.socket.binaryType = "arraybuffer";
    this.timer = setTimeout(() => {
      this.over("unreachable", "The server does not answer.");
      this.socket.close();
    }, GIVE_UP);
    const first = {
      ticket: given.ticket,
      vm: given.vm,
      take_over: this.takeOver,
      instead_of: before, // ours, if it is still thought to be open
    };
    before = given.console;
    sessionStorage.setItem(location.pathname, before);
    this.socket.addEventListener("open", () => this.socket.send(JSON.stringify(first)));
    this.socket.addEventListener("message", (event) => this.hear(event));
    this.socket.addEventListener("close", () => {
      this.over("lost", "The connection to the server was lost.");
    });
  }

  hear(event) {
    if (typeof event.data !== "string") return;
    event.stopImmediatePropagation(); // noVNC's are bytes
    const said = JSON.parse(event.data);
    if (said.state === "waiting") show("connecting", said.text);
    else if (said.state === "ready") this.draw();
    else if (said.state === "ended") this.over(said.code, said.text);
  }

  draw() {
    clearTimeout(this.timer);
    this.rfb = new RFB(screen, this.socket, { shared: true });
    this.rfb.scaleViewport = true;
    this.rfb.background = "#10161a"; // what is beside the picture, as around it
    this.rfb.focusOnClick = true;
    this.rfb.addEventListener("desktopname", (event) => (this.name = event.detail.name));
    this.rfb.addEventListener("connect", () => {
      this.drawn = true;
      show("connected", this.name ?? "");
      this.rfb.focus();
    });
    this.rfb.addEventListener("securityfailure", () => {
      this.over("broken", "The console did not let us in.");
    });
  }

  over(code, text) {
    if (this.ending || this !== current) return;
    this.ending = code;
    clearTimeout(this.timer);
    this.rfb?.disconnect();
    if (this.drawn) patientUntil = Date.now() + PATIENCE;
    if (code === "in-use") {
      show("ended", text);
      inUse.showModal();
    } else if (PASSING.has(code) && Date.now() < patientUntil) {
      show("connecting", `${text} Connecting again.`);
      setTimeout(() => this === current && attempt(false), PAUSE);
    } else {
      show("ended", text);
    }
  }
}

function begin(takeOver) {
  show("connecting", "Asking for the console.");
  patientUntil = Date.now() + PATIENCE;
  attempt(takeOver);
}

function attempt(takeOver) {
  current = new Attempt(takeOver);
  current.start();
}

again.addEventListener("click", () => begin(false));
byId("console-take").addEventListener("click", () => {
  inUse.close();
  begin(true);
});
byId("console-cad").addEventListener("click", () => {
  current.rfb.sendCtrlAltDel();
  current.rfb.focus();
});
byId("console-leave").addEventListener("click", () => {
  current.over("left", "You disconnected.");
});
begin(false);
