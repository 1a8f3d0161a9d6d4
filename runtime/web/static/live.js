// The live picture with the outline and what to do better, and the capture.

import { byId, outline } from "./elements.js";
import { patient } from "./patient.js";
import { livePictures } from "./pictures.js";
import { Refused, inWords, listen, send } from "./server.js";
import { say, told } from "./words.js";

const ANSWERED = 410; // of a press: another page was faster

let busy = false;
let state = "opening";
let pressed = null; // presses of the device's button when this page was shown, and since
let pictures = null;

export const startLive = (captured) => {
  pictures = livePictures(byId("video"));
  const look = () => {
    pictures.start();
    return listen((view) => {
      show(view);
      if (view === null) return;
      if (pressed !== null && view.pressed > pressed) capture(captured, view.pressed);
      pressed = view.pressed;
    });
  };
  // A page that nobody sees lets go: a browser has six connections to a device for all its pages.
  let leave = null;
  const turn = () => {
    if (document.hidden === (leave === null)) return;
    if (leave === null) {
      leave = look();
      return;
    }
    leave();
    leave = null;
    pictures.stop();
    pressed = null;
    show(null);
  };
  document.addEventListener("visibilitychange", turn);
  turn();
  byId("capture").addEventListener("click", () => capture(captured));
  document.addEventListener("keydown", (event) => {
    // Links keep the focus after a click on a tab, and know nothing of Space themselves.
    const typing = event.target.closest?.("input, select, textarea, button, summary");
    if (event.code === "Space" && !typing && !byId("live").hidden) {
      event.preventDefault();
      capture(captured);
    }
  });
};

const show = (view) => {
  state = view === null ? "gone" : view.state;
  if (state !== "live") pictures.forget();
  else if (!pictures.areOfNow()) state = "unseen";
  const live = state === "live";
  document.body.dataset.state = state;
  byId("camera").textContent = say(`state_${state}`);
  byId("picture").classList.toggle("dead", !live);
  byId("lost").textContent = live ? "" : say("no_picture");
  const [old] = byId("picture").getElementsByTagName("svg");
  old.replaceWith(outline(live ? view.outline : []));
  if (view?.size) byId("picture").style.aspectRatio = `${view.size[1]} / ${view.size[0]}`;
  const hint = live
    ? view.hints.map(told).join(" ") || (view.ready ? say("ready") : "")
    : [say(`state_${state}`), view?.why && told(view.why)].filter(Boolean).join(": ");
  if (byId("hint").textContent !== hint) byId("hint").textContent = hint;
  byId("hint").classList.toggle("good", live && view.ready);
  byId("capture").disabled = busy || !live;
};

/** By the button on this page, or by a press of the device's, which another page may answer. */
const capture = async (captured, press = null) => {
  if (busy || state !== "live") return;
  busy = true;
  const button = byId("capture");
  button.disabled = true;
  byId("capture-word").textContent = say("capturing");
  byId("trouble").replaceChildren();
  let kept = null;
  try {
    const address = press === null ? "/api/captures" : `/api/captures?press=${press}`;
    kept = await send(address, patient());
  } catch (error) {
    const refused = error instanceof Refused;
    const why = refused ? `${say("not_captured")}. ${inWords(error)}` : say("not_confirmed");
    if (!(refused && error.status === ANSWERED)) byId("trouble").textContent = why;
  } finally {
    busy = false;
    button.disabled = state !== "live";
    byId("capture-word").textContent = say("capture");
  }
  if (kept !== null) captured(kept);
};
