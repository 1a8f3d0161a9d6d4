// The captures of this session, and two of them side by side.

import { byId, el } from "./elements.js";
import { counts, groupOf, picture, scoreLine, verdict } from "./result.js";
import { askFor } from "./server.js";
import { plain, say, threeDigits } from "./words.js";

let chosen = [];
let open = () => {};

export const startHistory = (opened) => {
  open = opened;
  byId("close-compare").addEventListener("click", () => {
    chosen = [];
    showHistory();
  });
};

export const showHistory = async () => {
  const captures = await askFor("/api/captures", byId("history-trouble"));
  if (captures === null) return;
  captures.reverse();
  byId("empty").hidden = captures.length > 0;
  byId("compare-note").hidden = captures.length < 2 || chosen.length === 2;
  byId("cards").replaceChildren(...captures.map((each) => card(each, captures)));
  compare(captures);
};

const who = (capture) =>
  [capture.patient.patient ?? say("no_pseudonym"), plain(capture.patient.site ?? "")]
    .filter(Boolean)
    .join(" · ");

const when = (capture) => new Date(capture.time).toLocaleTimeString();

const card = (capture, all) => {
  if (!capture.there) {
    return el("li", { class: "card" }, el("p", {}, when(capture)), el("p", {}, say("removed")));
  }
  const id = `choose-${capture.number}`;
  const box = el("input", { type: "checkbox", id, checked: chosen.includes(capture.number) });
  box.addEventListener("change", () => {
    chosen = chosen.filter((number) => number !== capture.number);
    if (box.checked) chosen = [...chosen, capture.number].slice(-2);
    showHistory();
  });
  const earlier = all.find((other) => sameSite(capture, other) && other.number < capture.number);
  const score = counts(capture.record) ? capture.record.score : null;
  return el(
    "li",
    { class: "card" },
    el("button", { class: "thumb", onclick: () => open(capture) }, picture(capture, 480)),
    el(
      "p",
      { class: `short ${groupOf(capture.record)}` },
      el("strong", {}, say(groupOf(capture.record))),
      score === null ? null : ` ${threeDigits(score)}`,
    ),
    el("p", {}, who(capture)),
    el("p", { class: "quiet" }, when(capture)),
    el("label", { class: "toggle", for: id }, box, say("compare")),
    earlier &&
      el(
        "button",
        {
          class: "plain",
          onclick: () => {
            chosen = [earlier.number, capture.number];
            showHistory();
          },
        },
        say("compare_same"),
      ),
  );
};

const sameSite = (one, other) =>
  other.there &&
  one.patient.patient &&
  one.patient.patient === other.patient.patient &&
  one.patient.site &&
  one.patient.site === other.patient.site;

const compare = (captures) => {
  const two = chosen.map((number) => captures.find((each) => each.number === number));
  const both = two.length === 2 && two.every((each) => each?.there);
  byId("compare").hidden = !both;
  if (!both) return;
  two.sort((one, other) => one.number - other.number);
  byId("compared").replaceChildren(
    ...two.map((capture) =>
      el(
        "article",
        {},
        picture(capture, 1280),
        el("p", {}, `${when(capture)} · ${who(capture)}`),
        verdict(capture.record, "h3"),
        scoreLine(capture.record),
      ),
    ),
  );
  byId("compare").scrollIntoView({ block: "nearest" });
};
