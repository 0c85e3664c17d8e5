// Small comforts on top of pages that work without them: countdown, local times, copy buttons,
// one submission per form, passkeys, the way over the other address family, and a look whether a
// service answers. Keeps nothing.
"use strict";
(() => {
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);

  // Countdown. The server's present counts, a phone's clock may be wrong.
  const list = document.querySelector("[data-now]");
  if (list) {
    const ahead = Number(list.dataset.now) - performance.timeOrigin / 1000 - performance.now() / 1000;
    const lefts = document.querySelectorAll("[data-deadline]");
    const over = document.querySelector("[data-over]");
    const tick = () => {
      let ended = false;
      const now = Date.now() / 1000 + ahead;
      for (const left of lefts) {
        const data = left.dataset;
        const seconds = Math.floor(Number(data.deadline) - now);
        const badge = left.closest(".service").querySelector("[data-badge]");
        if (seconds <= 0) {
          left.textContent = data.closed;
          badge.textContent = data.closed;
          badge.className = "badge off";
          ended = true;
          continue;
        }
        if (seconds < 900 && badge.className !== "badge warn") {
          badge.textContent = badge.dataset.soon;
          badge.className = "badge warn";
        }
        const minutes = Math.floor(seconds / 60);
        const time = seconds <= 90 ? fill(data.seconds, { n: seconds })
          : seconds < 5400 ? fill(data.minutes, { n: Math.ceil(seconds / 60) })
          : fill(data.hours, { h: Math.floor(minutes / 60), m: minutes % 60 });
        left.textContent = fill(data.left, { time });
      }
      if (ended && !over.textContent) {
        over.textContent = over.dataset.over;
        over.className = "notice info";
      }
    };
    tick();
    setInterval(tick, 1000);
  }

  // Times in the reader's own zone.
  const zone = document.querySelector("[data-zone]");
  if (zone) {
    const language = document.documentElement.lang;
    const today = new Date().toDateString();
    for (const time of document.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
      const day = at.toDateString() === today ? {} : { day: "numeric", month: "short" };
      time.textContent = new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, { ...clock, ...day }).format(at);
    }
    zone.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
  }

  // The other address family: to the portal's other name with a ticket, back with its receipt.
  const cross = document.querySelector("form[data-cross]");
  if (cross) {
    const said = document.querySelector("[data-cross-said]");
    const texts = cross.dataset;
    const ask = async (url, fields, credentials) => {
      const headers = { Accept: "application/json" };
      const reply = await fetch(url, { method: "POST", headers, credentials, body: new URLSearchParams(fields), signal: AbortSignal.timeout(8000) });
      return reply.json();
    };
    const go = async () => {
      said.textContent = texts.working;
      const { to, ticket } = await ask("/cross", {}, "same-origin");
      const { receipt } = await ask(to, { ticket }, "omit").catch(() => { throw texts.unreachable; });
      if (!receipt) throw texts.refused;
      const end = await ask("/cross/return", { receipt, asked: "yes" }, "same-origin");
      said.textContent = end.said;
      if (!end.good) return;
      const badge = document.querySelector("[data-cross-badge]");
      badge.textContent = texts.open;
      badge.className = "badge good";
    };
    // The button does it by pages: browsers may forbid a script what they allow a person.
    const start = () => go().catch((why) => { said.textContent = typeof why === "string" ? why : texts.refused; });
    if ("auto" in texts) start();
  }
  // Pages of a crossing go on by themselves, but not when somebody comes back to them.
  const step = document.querySelector("form[data-step]");
  if (step && performance.getEntriesByType("navigation")[0]?.type === "navigate") step.requestSubmit();

  // Whether a service answers: any reply will do, and none can be read. Twice, because the first
  // packets may be on their way while the door still opens.
  for (const said of document.querySelectorAll("[data-probe]")) {
    const look = () => fetch(said.dataset.probe, { mode: "no-cors", credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(5000) });
    look().catch(look).then(
      () => { said.textContent = said.dataset.up; },
      () => { said.textContent = said.dataset.down; },
    );
  }

  // Passkeys. The browser shows them only to the portal's own name.
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  // What a person can do about it. Browsers do not tell "cancelled" from "none here", on purpose.
  const why = (texts, failure) => {
    const words = {
      NotAllowedError: texts.cancelled, AbortError: texts.cancelled, TimeoutError: texts.cancelled,
      InvalidStateError: texts.already, SecurityError: texts.wrongSite, TypeError: texts.unreachable,
    };
    return failure?.say ?? words[failure?.name] ?? texts.failed;
  };
  const challenge = async (url) => {
    const reply = await fetch(url, { method: "POST", credentials: "same-origin", headers: { Accept: "application/json" }, body: new URLSearchParams() });
    if (reply.redirected) location.assign(reply.url);
    if (!reply.ok) throw Object.assign(new Error(reply.statusText), await reply.json().catch(() => ({})));
    const { challenge, options } = await reply.json();
    const key = options.publicKey;
    key.challenge = bytes(key.challenge);
    if (key.user) key.user.id = bytes(key.user.id);
    for (const one of [...(key.excludeCredentials ?? []), ...(key.allowCredentials ?? [])]) one.id = bytes(one.id);
    return { challenge, key };
  };
  const put = (form, name, value) => {
    const field = form.elements[name] ?? form.appendChild(Object.assign(document.createElement("input"), { type: "hidden", name }));
    field.value = value;
  };
  const send = (form, challenge, credential, response) => {
    put(form, "challenge", challenge);
    put(form, "passkey", JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response, extensions: {} }));
    HTMLFormElement.prototype.submit.call(form);
  };
  const show = async (form) => {
    const { challenge: id, key } = await challenge("/passkey");
    const found = await navigator.credentials.get({ publicKey: key });
    const r = found.response;
    send(form, id, found, {
      authenticatorData: text(r.authenticatorData), clientDataJSON: text(r.clientDataJSON), signature: text(r.signature),
      userHandle: r.userHandle ? text(r.userHandle) : null,
    });
  };
  const make = async (form) => {
    const { challenge: id, key } = await challenge("/devices/passkey/start");
    const made = await navigator.credentials.create({ publicKey: key });
    const r = made.response;
    send(form, id, made, { attestationObject: text(r.attestationObject), clientDataJSON: text(r.clientDataJSON), transports: r.getTransports?.() ?? null });
  };
  const able = Boolean(window.PublicKeyCredential && navigator.credentials);
  const logIn = document.querySelector("[data-passkey-log-in]");
  if (logIn && able) {
    logIn.hidden = false;
    const said = logIn.querySelector("[role=status]");
    logIn.querySelector("button").addEventListener("click", () => show(logIn.closest("form")).catch((failure) => { said.textContent = why(logIn.dataset, failure); }));
  }
  for (const form of document.querySelectorAll("form[data-passkey], form[data-passkey-add]")) {
    const adds = "passkeyAdd" in form.dataset;
    const said = form.querySelector(".hint");
    if (adds) form.hidden = !able;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!able) { said.textContent = form.dataset.unable; return; }
      (adds ? make : show)(form).catch((failure) => { said.textContent = why(form.dataset, failure); });
    });
  }

  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }

  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copy).textContent.replace(/\s/g, "");
      await navigator.clipboard.writeText(text);
      button.textContent = button.dataset.copied;
    });
  }

  // Details for whoever helps: the browser's kind, and all of them as lines.
  const kind = () => {
    const agent = navigator.userAgent;
    const first = (names) => names.find(([, sign]) => sign.test(agent))?.[0] ?? "?";
    const browser = first([["Edge", /Edg/], ["Samsung Internet", /SamsungBrowser/], ["Opera", /OPR\//], ["Firefox", /Firefox|FxiOS/], ["Chrome", /Chrom|CriOS/], ["Safari", /Safari/]]);
    const system = first([["Android", /Android/], ["iOS", /iPhone|iPad/], ["Windows", /Windows/], ["macOS", /Mac OS/], ["ChromeOS", /CrOS/], ["Linux", /Linux/]]);
    const version = /(?:Edg|SamsungBrowser|OPR|Firefox|FxiOS|Chrome|CriOS|Version)\w*\/(\d+)/.exec(agent)?.[1] ?? "";
    return `${browser} ${version}, ${system}`;
  };
  for (const row of document.querySelectorAll("[data-browser]")) {
    row.querySelector("dd").textContent = kind();
    row.hidden = false;
  }
  for (const button of document.querySelectorAll("[data-copy-list]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const rows = document.querySelectorAll(`#${button.dataset.copyList} > div`);
      const lines = [...rows].map((row) => `${row.querySelector("dt").textContent}: ${row.querySelector("dd").textContent}`);
      await navigator.clipboard.writeText(lines.join("\n"));
      button.textContent = button.dataset.copied;
    });
  }

  for (const form of document.querySelectorAll("form[data-once]")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "yes";
      for (const button of form.querySelectorAll("button:not([type])")) button.setAttribute("aria-busy", "true");
    });
  }
  // Coming back with the browser's button, forms can be sent again.
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      for (const button of form.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
    }
  });
})();
