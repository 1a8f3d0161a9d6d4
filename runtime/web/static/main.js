// The pages of the screen, and which of them is shown.

import { showDevice, startDevice } from "./device.js";
import { byId } from "./elements.js";
import { showHistory, startHistory } from "./history.js";
import { startLive } from "./live.js";
import { startPatient } from "./patient.js";
import { showResult } from "./result.js";
import { askFor } from "./server.js";
import { fill } from "./words.js";

const PAGES = ["live", "result", "history", "device"];

const AGAIN_MS = 3000;

/** Without this there is no page: it is asked for until it comes. */
const told = async () => {
  for (;;) {
    const about = await askFor("/api/about", byId("hint"));
    if (about !== null) return about;
    await new Promise((done) => setTimeout(done, AGAIN_MS));
  }
};

fill();
const about = await told();

const show = (page) => {
  for (const name of PAGES) byId(name).hidden = name !== page;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${page}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  scrollTo(0, 0);
  if (page === "history") showHistory();
  if (page === "device") showDevice(about);
};

/** At once, not when the browser gets round to it: what is hidden cannot have the focus. */
const go = (page, focused) => {
  location.hash = `#/${page}`;
  show(page);
  byId(focused).focus();
};

const opened = (capture) => {
  showResult(capture, about);
  go("result", "again");
};

const route = () => {
  const page = location.hash.slice(2);
  const empty = page === "result" && !byId("result-words").hasChildNodes();
  show(PAGES.includes(page) && !empty ? page : "live");
};

startPatient(about);
startLive(opened);
startHistory(opened);
startDevice(about);
byId("again").addEventListener("click", () => go("live", "capture"));
addEventListener("hashchange", route);
route();
document.body.dataset.ready = "yes";
