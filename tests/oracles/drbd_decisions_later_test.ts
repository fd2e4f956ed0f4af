/**
 * Vectors of DRBD 9 that nothing of ours answers yet: meshes and quorum. They
 * are counted, so that they are not forgotten.
 *
 * @module
 */

import assert from "node:assert/strict";
import { say } from "../helpers/say.ts";
import {
  isMissing,
  oracleFolder,
  readVectors,
  vectorFiles,
} from "./vectors.ts";

const FOLDER = oracleFolder("drbd/decisions");

for (const series of ["handshake9", "quorum9"]) {
  Deno.test({
    name: `${series}: vectors are there, and wait`,
    ignore: isMissing(FOLDER, series),
    async fn() {
      let count = 0;
      for (const file of vectorFiles(FOLDER, series)) {
        for await (const { value } of readVectors(file)) {
          assert.equal(typeof value, "object");
          count += 1;
        }
      }
      say(`SKIPPED: ${count} ${series} vectors (meshes come later)`);
    },
  });
}
