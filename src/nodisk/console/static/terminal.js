"use strict";
// A student's terminal: xterm.js on one side, the console's WebSocket on the other (terminal_messages.py says what the
// two say). Output is confirmed when it has been drawn, so that a flood waits in its pod and not here. On a page that
// only watches (data-watch) nothing that is typed is sent; the console would refuse it anyway.
(() => {
  const LARGEST = 500, PIECE = 16384;
  const place = document.getElementById("terminal");
  const watches = "watch" in place.dataset, watched = document.getElementById("watched");
  const state = document.getElementById("state"), detail = document.getElementById("detail");
  const again = document.getElementById("again"), reader = document.getElementById("reader");
  const { term, fit, write, onData, readAloud } = adapted(place);
  place.terminal = term; // for tests, and for whoever looks at it with the browser's tools
  term.textarea.setAttribute("aria-label", place.dataset.label);
  term.textarea.setAttribute("aria-describedby", "keys");

  let socket = null, decoder = null, received = 0, seen = 0, over = false, pause = 1000, timer = 0;

  function size() {
    fit();
    const within = (number) => Math.min(LARGEST, Math.max(1, number));
    return { columns: within(term.cols), rows: within(term.rows) };
  }
  function send(message) {
    if (socket !== null && socket.readyState === WebSocket.OPEN) socket.send(message);
  }
  function tell(text, more) {
    if (state.textContent !== text) state.textContent = text;
    detail.textContent = more;
  }

  function connect() {
    clearTimeout(timer);
    over = false;
    again.disabled = true;
    received = seen = 0;
    decoder = new TextDecoder();
    tell(place.dataset.connecting, "");
    if (watches) term.reset();
    else watched.textContent = "";
    const mine = new WebSocket(place.dataset.socket.replace(/^/, `wss://${location.host}`));
    mine.binaryType = "arraybuffer";
    socket = mine;
    mine.addEventListener("open", () => {
      const token = place.dataset.token;
      mine.send(JSON.stringify(watches ? { token } : { token, ...size() }));
    });
    mine.addEventListener("message", (event) => {
      if (typeof event.data !== "string") {
        received += event.data.byteLength;
        const total = received;
        write(decoder.decode(event.data, { stream: true }), () => {
          if (socket !== mine || total <= seen) return;
          seen = total;
          send(JSON.stringify({ seen }));
        });
        return;
      }
      const said = JSON.parse(event.data);
      if ("watched" in said) {
        watched.textContent = said.watched;
        send(JSON.stringify({ told: said.number }));
        return;
      }
      if ("columns" in said) {
        term.resize(said.columns, said.rows);
        return;
      }
      place.dataset.state = said.state;
      tell(said.text, said.detail);
      if (said.state === "open") {
        pause = 1000;
        if (!watches) term.focus();
      }
      over = !["open", "wait", "stopping"].includes(said.state);
    });
    mine.addEventListener("close", (event) => {
      if (socket !== mine) return;
      socket = null;
      again.disabled = false;
      // 1008: the session is over, or this page is old. The server tells nothing to who may not know.
      if (over || event.code === 1008) return;
      place.dataset.state = "lost";
      tell(place.dataset.lost, "");
      timer = setTimeout(connect, pause);
      pause = Math.min(30000, pause * 2);
    });
  }

  if (!watches) onData((text) => {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length; at += PIECE) send(bytes.subarray(at, at + PIECE));
  });
  term.attachCustomKeyEventHandler((event) => {
    if (watches) return false;
    if (event.key !== "F6" || !event.ctrlKey) return true;
    if (event.type === "keydown") (again.disabled ? reader : again).focus();
    event.preventDefault();
    return false;
  });
  let resizing = 0;
  window.addEventListener("resize", () => {
    clearTimeout(resizing);
    if (!watches) resizing = setTimeout(() => send(JSON.stringify(size())), 200);
  });
  again.addEventListener("click", connect);
  reader.addEventListener("change", () => {
    readAloud(reader.checked);
    // Its lines are list items; 3.8 forgot to say of what.
    place.querySelector(".xterm-accessibility-tree")?.setAttribute("role", "list");
    term.textarea.setAttribute("aria-label", place.dataset.label);
  });
  connect();

  // xterm.js of Debian 12 (3.8) and of Debian 13 (5.3) differ in these. The writes of 3.8 are asynchronous as well, but
  // it doesn't say when one is done.
  function adapted(parent) {
    const term = new Terminal({ cursorBlink: false, disableStdin: watches, scrollback: 2000, fontSize: 15 });
    if (typeof window.fit === "function") {
      term.open(parent);
      const drawn = (then) => { if (term._core.writeBuffer.length > 0) setTimeout(drawn, 5, then); else then(); };
      return {
        term,
        fit: () => window.fit(term),
        write: (text, then) => { term.write(text); drawn(then); },
        onData: (then) => term.on("data", then),
        readAloud: (on) => term.setOption("screenReaderMode", on),
      };
    }
    const fitting = new FitAddon.FitAddon();
    term.loadAddon(fitting);
    // Before it is opened: it would begin with a renderer that needs style elements.
    term.loadAddon(new CanvasAddon.CanvasAddon());
    term.open(parent);
    return {
      term,
      fit: () => fitting.fit(),
      write: (text, then) => term.write(text, then),
      onData: (then) => term.onData(then),
      readAloud: (on) => { term.options.screenReaderMode = on; },
    };
  }
})();
