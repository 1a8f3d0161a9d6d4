// One capture: the picture, the decision, the numbers behind it, and what they mean.

import { bar, byId, el, outline } from "./elements.js";
import { percent, plain, say, threeDigits, told } from "./words.js";

export const groupOf = (record) => {
  if (record.status !== "ok") return record.status;
  if (record.refer === null) return "score_only";
  return record.refer ? "refer" : "no_referral";
};

const why = (record) => {
  const group = groupOf(record);
  return record.status === "ok" ? say(`${group}_why`) : told(record.reason ?? "");
};

export const picture = (capture, side, shown = true) => {
  const image = el("img", {
    src: `/api/captures/${capture.number}/picture?side=${side}`,
    alt: say("picture_alt", { number: capture.number }),
    decoding: "async",
  });
  const drawn = outline(shown ? capture.outline : []);
  return el("div", { class: "picture" }, image, drawn);
};

export const verdict = (record, level = "h2") =>
  el(
    "div",
    { class: `verdict ${groupOf(record)}` },
    el(level, {}, say(groupOf(record))),
    el("p", {}, why(record)),
  );

/** Whether its numbers count: those of a picture that is none to judge would be read as a result. */
export const counts = (record) => record.status === "ok" || record.status === "abstained";

export const scoreLine = (record) => (counts(record) ? scored(record) : null);

const scored = (record) => {
  if (record.score === null) return null;
  const threshold =
    record.threshold === null
      ? null
      : el("small", {}, say("threshold", { value: threeDigits(record.threshold) }));
  return el(
    "div",
    { class: "score" },
    el("span", { class: "name" }, say("score")),
    bar(record.score, record.threshold),
    el("strong", {}, threeDigits(record.score)),
    threshold,
  );
};

const chances = (probabilities) =>
  Object.entries(probabilities).map(([name, value]) =>
    el(
      "div",
      { class: "chance" },
      el("span", { class: "name" }, plain(name)),
      bar(value),
      el("span", { class: "value" }, threeDigits(value)),
    ),
  );

const members = (record, positive) =>
  el(
    "details",
    {},
    el("summary", {}, say("members")),
    chances(
      Object.fromEntries(Object.entries(record.members).map(([name, said]) => [name, said[positive]])),
    ),
    record.disagreement === null
      ? null
      : el("p", { class: "quiet" }, `${say("disagreement")}: ${threeDigits(record.disagreement)}`),
  );

export const meaning = (about) => {
  const { decision, data } = about;
  const point = decision.operating_point;
  const trained = data.map((each) => `${each.name}, ${each.images}`).join("; ") || say("unknown");
  const lines = [say("meaning_score", { name: plain(decision.score), data: trained })];
  if (decision.threshold === null || point === null) {
    lines.push(say("meaning_no_threshold"));
  } else {
    lines.push(
      say("meaning_threshold", {
        threshold: threeDigits(decision.threshold),
        source: point.predictions,
        sensitivity: percent(point.sensitivity),
        positives: point.positives,
        specificity: percent(point.specificity),
        negatives: point.negatives,
        missed: Math.round(100 * (1 - point.sensitivity)),
      }),
    );
  }
  lines.push(say("meaning_limits"), say("intended", { text: about.intended_use }));
  return el(
    "section",
    { class: "meaning" },
    el("h3", {}, say("meaning")),
    lines.map((line) => el("p", {}, line)),
  );
};

/** Of the box around the outline, where the camera's profile says how large a pixel is. */
const size = (record, { camera }) => {
  if (record.lesion === null || camera.pixels_per_mm === null) return [];
  const [width, height] = record.lesion.box
    .slice(2)
    .map((pixels) => (pixels / camera.pixels_per_mm).toFixed(1));
  return [say("size_mm", { width, height })];
};

const facts = (record, about) => {
  const lines = size(record, about);
  if (record.capture?.frames > 1) {
    const { frames, spread, flip_rate: flips } = record.capture;
    lines.push(say("frames", { count: frames, spread: threeDigits(spread) }));
    if (record.threshold !== null) lines.push(say("flips", { share: percent(flips) }));
  }
  if (record.frame_age_ms !== null) {
    lines.push(say("age_of_frame", { ms: Math.round(record.frame_age_ms) }));
  }
  return lines.map((line) => el("p", { class: "quiet" }, line));
};

const numbers = (record, about) => [
  scored(record),
  el("h3", {}, say("classes")),
  chances(record.probabilities),
  members(record, about.decision.score),
  facts(record, about),
];

const folded = (record, about) =>
  el(
    "details",
    { class: "uncounted" },
    el("summary", {}, say("uncounted")),
    el("p", {}, say("uncounted_why")),
    numbers(record, about),
    meaning(about),
  );

/** For those who take the next patient's picture while this one is still shown. */
const whose = ({ patient }) => {
  const who = [patient.patient ?? say("no_pseudonym"), plain(patient.site ?? say("no_site"))];
  return patient.patient === undefined ? who.join(", ") : say("whose", { who: who.join(", ") });
};

const words = (capture, about) => {
  const { record } = capture;
  const kept = el("p", { class: "quiet" }, say("kept", { number: capture.number }));
  const whole = [el("p", { class: "whose" }, whose(capture)), verdict(record)];
  if (counts(record)) return [...whole, ...numbers(record, about), kept, meaning(about)];
  return [...whole, kept, record.score === null ? null : folded(record, about)];
};

/** The heat map is made when it is first asked for: the device has better things to do. */
const heatToggle = (capture, view) => {
  const box = el("input", { type: "checkbox", id: "heat" });
  const note = el("p", { class: "quiet", role: "status", hidden: true });
  let layer = null;
  box.addEventListener("change", () => {
    if (box.checked && layer === null) {
      layer = el("img", { class: "heat", alt: "" });
      layer.addEventListener("load", () => {
        note.textContent = say("heatmap_meaning");
      });
      layer.addEventListener("error", () => {
        note.textContent = say("heatmap_failed");
        layer.remove();
        layer = null;
        box.checked = false;
      });
      note.textContent = say("heatmap_coming");
      layer.src = `/api/captures/${capture.number}/heatmap`;
      view.querySelector("svg").before(layer);
    }
    note.hidden = layer !== null && !box.checked;
    if (layer !== null) layer.hidden = !box.checked;
  });
  return [el("label", { class: "toggle", for: "heat" }, box, say("heatmap")), note];
};

/** The whole page of one capture. */
export const showResult = (capture, about) => {
  const view = picture(capture, 1600);
  const drawn = view.querySelector("svg");
  const shown = el("input", { type: "checkbox", id: "shown", checked: true });
  shown.addEventListener("change", () => drawn.classList.toggle("hidden", !shown.checked));
  byId("result-picture").replaceChildren(
    view,
    el("label", { class: "toggle", for: "shown" }, shown, say("outline")),
    ...(about.explains && counts(capture.record) ? heatToggle(capture, view) : []),
  );
  byId("result-words").replaceChildren(
    ...words(capture, about)
      .flat()
      .filter((part) => part !== null),
  );
};
