/* The editor's start: all parts of the page, with a back end. */

import { startAlbum } from "./album.js";
import { setBackEnd } from "./back_end.js";
import { startCards } from "./cards.js";
import { startConfidence } from "./confidence.js";
import { startDownloads } from "./downloads.js";
import { startEditor } from "./editor.js";
import { startFileOptions } from "./file_options.js";
import { startHints } from "./hints.js";
import { startHistory } from "./history.js";
import { startIntake } from "./intake.js";
import { startLookRow } from "./look_row.js";
import { startReference } from "./reference.js";
import { startSliders } from "./sliders.js";
import { startStage } from "./stage.js";
import { tell } from "./state.js";
import { startVariants } from "./variants.js";
import { startZoom } from "./zoom.js";

/* Start the page; `backEnd` is as back_end.js says. */
export function start(backEnd) {
  setBackEnd(backEnd);
  startCards();
  startIntake();
  startStage();
  startZoom();
  startHistory();
  startLookRow();
  startSliders();
  startVariants();
  startHints();
  startReference();
  startAlbum();
  startConfidence();
  startFileOptions();
  startDownloads();
  startEditor();
  tell("cards");
}
