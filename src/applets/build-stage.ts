/** The hidden command by which silo starts itself to become a builder; see sandbox/stage.ts. */
import { runStage } from "../sandbox/stage.ts";
import type { Applet } from "./applet.ts";

export const buildStage: Applet = {
  name: "__build-stage",
  summary: "",
  run: () => runStage(),
};
