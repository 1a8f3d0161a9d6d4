import { fill } from "./words.js";

fill();
if (location.search === "?wrong") document.getElementById("wrong").hidden = false;
