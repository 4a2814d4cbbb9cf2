/* The editor's start: all parts of the page, with a back end. */

import { setBackEnd } from "./back_end.js";
import { startCards } from "./cards.js";
import { startDownloads } from "./downloads.js";
import { startEditor } from "./editor.js";
import { startHints } from "./hints.js";
import { startIntake } from "./intake.js";
import { startSettings } from "./settings.js";
import { startStage } from "./stage.js";
import { tell } from "./state.js";

/* Start the page; `backEnd` is as back_end.js says. */
export function start(backEnd) {
  setBackEnd(backEnd);
  startCards();
  startIntake();
  startStage();
  startSettings();
  startHints();
  startDownloads();
  startEditor();
  tell("cards");
}
