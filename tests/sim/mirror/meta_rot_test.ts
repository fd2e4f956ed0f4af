/** What the simulator claims of marks that rotted away. */

import { equal } from "node:assert/strict";
import { runMirror } from "./run.ts";

Deno.test("a mark that is read without its bit is missed from then on", () => {
  // The bitmap is saved once more before the nodes meet.
  equal(runMirror(2485648167).violation, undefined);
});
