// Every word of the screen, in one place: a translation is a copy of this file.
// {name} is filled in.

export const language = "en";

const words = {
  title: "dermedge",
  live: "Live",
  history: "History",
  device: "Device",
  support: "Decision support for a trained clinician. Not a diagnosis.",

  // the camera
  state_opening: "Camera is starting",
  state_live: "Live",
  state_stalled: "No new picture",
  state_lost: "Camera lost",
  state_reopening: "Looking for the camera",
  state_unseen: "The picture does not get through",
  state_gone: "No connection to the device",
  no_picture: "No live picture",
  ready: "Ready: the lesion is outlined",
  video_alt: "What the camera sees now",

  // the form
  patient: "Patient",
  patient_id: "Pseudonym",
  patient_id_note: "No name, no date of birth",
  age: "Age in years",
  sex: "Sex",
  site: "Site",
  note: "Note",
  unknown: "not known",
  female: "female",
  male: "male",
  front: "Front",
  back: "Back",
  body_map: "Choose the site on the body",
  new_patient: "New patient",
  not_used: "These networks do not use age, sex or site; they are only recorded.",

  // capturing
  capture: "Capture",
  capture_key: "Space",
  capturing: "Judging …",
  not_captured: "Not captured",
  not_confirmed: "The device did not answer: look into the history before you capture again",
  no_answer: "The device does not answer",
  got: "Found: {value}",
  expected: "Expected: {value}",
  again: "Next capture",
  kept: "Kept as number {number}",

  // the result
  whose: "of {who}",
  refer: "Refer",
  no_referral: "No referral by this threshold",
  score_only: "No threshold",
  abstained: "No decision",
  rejected: "Picture rejected",
  error: "Failed",
  size_mm: "The outline is {width} × {height} mm",
  refer_why: "The score is at or above the threshold.",
  no_referral_why: "The score is below the threshold. This does not rule disease out.",
  score_only_why: "This bundle has no threshold, so nothing is decided.",
  score: "Score",
  threshold: "threshold {value}",
  uncounted: "Numbers that do not count",
  uncounted_why: "The networks gave them for a picture that is not to be judged. Nothing follows.",
  classes: "What the networks see",
  members: "Each network alone",
  disagreement: "Disagreement between the networks",
  frames: "{count} frames, spread {spread}",
  flips: "{share} of the frames alone would be decided otherwise",
  age_of_frame: "Picture {ms} ms old when it was judged",
  outline: "Outline",
  heatmap: "Heat map",
  heatmap_coming: "Computing the heat map …",
  heatmap_meaning:
    "Bright: here the networks' layers found something to answer to. It does not say what, and not for which class; it is no outline of disease.",
  heatmap_failed: "There is no heat map of this picture",
  picture_alt: "Capture {number}",
  meaning: "What the score means",
  meaning_score:
    "The score is what these networks give as the probability of {name}. It compares a picture with those they were trained on ({data}). It is not the risk of your patient, who comes with a history and from another population.",
  meaning_threshold:
    "“Refer” means a score of {threshold} or more. On the data it was chosen on ({source}) that found {sensitivity} of {positives} such lesions, and left {specificity} of {negatives} others alone. So about {missed} in 100 such lesions score below it.",
  meaning_no_threshold: "This bundle has no threshold: scores are shown and nothing is decided.",
  meaning_limits:
    "Other devices, lighting, skin tones, ages, body sites or diseases can make a score meaningless without any warning. A low score does not rule disease out, and no score replaces looking at the patient, histology or follow-up.",
  intended: "Intended use, in the words of the bundle: {text}",

  // the history
  empty: "Nothing was captured in this session yet.",
  compare: "Compare",
  compare_two: "Choose two captures to see them side by side.",
  compare_same: "Earlier of this site",
  compared: "Side by side",
  close: "Close",
  no_pseudonym: "no pseudonym",
  no_site: "no site",
  removed: "removed by the retention limit",
  export: "Export this session",
  export_note: "An export holds patient data, and leaves this device with whoever takes it.",

  // the device
  camera: "Camera",
  frame_rate: "Frames a second, as they come",
  frames_received: "Frames received",
  frames_good: "looked at, good enough",
  frames_rejected: "rejected",
  frames_dropped: "passed over, a newer one was there",
  frames_damaged: "damaged",
  frames_frozen: "frozen",
  frames_black: "black",
  openings: "Times it was opened",
  polarisation: "Polarisation",
  scale: "Pixels in a millimetre",
  looks: "Looks a second",
  capture_time: "Capture until kept",
  temperature: "Temperature",
  power: "Power",
  free: "Free on the disk",
  engine: "Engine",
  machine: "Machine",
  bundle: "Bundle",
  versions: "Versions",
  not_measured: "not measured here",

  // the door
  login: "Open",
  token: "Token of this device",
  wrong_token: "That is not the token.",
};

// What the device says itself, which it also writes into records: a translation stands behind it,
// and where there is none, as in English, its own words are shown.
const sentences = {
  // how the picture is to be taken: the hints of a bundle
  "The picture is too small to judge: use one of at least 64 pixels a side.": "",
  "This does not look like skin: put the dermatoscope on it.": "",
  "Too dark or too bright: adjust the light until the skin shows its colour.": "",
  "Much of the picture is black: more light.": "",
  "Much of the picture is plain white: less light.": "",
  "The dark rim covers too much: move the camera closer or zoom in.": "",
  "There are reflections: use the polariser, or add gel.": "",
  "Out of focus: hold still and focus on the lesion.": "",
  "Blurred by motion: hold the dermatoscope still.": "",
  "Nothing stands out: clean the lens, and focus again.": "",
  "Hair covers too much: comb it aside, with gel, or shave.": "",
  "Move until the lesion fills about a third of the circle, with skin around it.": "",
  "The lesion reaches over the border: move it into the middle, or move back.": "",
  "What is outlined looks like the skin around it: bring the lesion into the middle.": "",
  "Check the camera's colours; a blue or white lesion is for a physician to judge.": "",
  "There are several lesions: bring one alone into the middle.": "",
  "No lesion is in sight: bring one into the middle of the picture.": "",
  "no lesion was found, so the networks saw the whole frame": "",

  // why there is no picture
  "no frame comes": "",
  "the picture does not change": "",
  "the picture is black": "",
  "the camera's driver hangs, and its reader with it: unplug the camera": "",

  // why nothing was captured
  "There is no live picture to judge.": "",
  "wait until the picture moves again, then capture once more": "",
  "The networks were busy for too long: what is seen now is not what was asked for.": "",
  "capture once more": "",
  "The disk is full: nothing more is captured, and nothing was lost.": "",
  "The capture was not kept.": "",
  "The networks did not answer in time; nothing was kept.": "",
  "The chain failed.": "",
  "Nothing was captured.": "",
  "That press was answered already.": "",

  // what a form, or a picture that is sent, cannot say
  "The patient's form has no such field.": "",
  "The age is a number of years.": "",
  "A field of the form is a text that is not too long.": "",
  "A field of the form cannot be kept.": "",
  "text, a finite number or nothing": "",
  "The form is not JSON.": "",
  "The form is an object of texts and numbers.": "",
  "The request broke off.": "",
  "The request did not come to its end in time.": "",
  "The picture cannot be packed.": "",

  // what is refused at the door, or is not there
  "This screen is not reached by that name.": "",
  "The request is too large.": "",
  "Another site asked for this.": "",
  "A token is needed.": "",
  "Too many wrong tokens; wait a moment.": "",
  "Too many requests; wait a moment.": "",
  "Too many screens look on.": "",
  "Other pictures are being judged; try again.": "",
  "There is no such capture in this session.": "",
  "There is no such picture in this session.": "",
  "csv, jsonl and zip can be had.": "",
  "The export cannot be written.": "",
  "dermedge sessions export --out FILE  on another disk": "",
};

/** Sentences of the device; several are parted by semicolons. */
export const told = (text) =>
  sentences[text] ||
  text
    .split("; ")
    .map((each) => sentences[each] || each)
    .join("; ");

export const say = (key, values = {}) =>
  (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

/** Bundles name classes and sites in their own words (seborrheic_keratosis); some are known here. */
export const plain = (name) => (words[name] ?? String(name)).replaceAll("_", " ");

export const percent = (share) => `${Math.round(share * 100)} %`;

export const threeDigits = (value) => value.toFixed(3);

/** Fill in the words that the page asks for by name. */
export const fill = (root = document) => {
  document.documentElement.lang = language;
  for (const place of root.querySelectorAll("[data-word]")) {
    place.textContent = say(place.dataset.word);
  }
  for (const place of root.querySelectorAll("[data-label]")) {
    place.setAttribute("aria-label", say(place.dataset.label));
  }
};
