/**
 * Series of DRBD 8.4's own resync controller, step by step.
 *
 * @module
 */

import {
  noteRequested,
  RESYNC_DEFAULTS,
  type ResyncOptions,
  SECTORS_PER_REQUEST,
  startController,
  stepController,
} from "../../node-agent/mirror/decisions/resync_controller_core.ts";
import { say } from "../helpers/say.ts";
import { isMissing, judgeSeries, oracleFolder } from "./vectors.ts";
import { z } from "zod";

const FOLDER = oracleFolder("drbd/decisions");

const Count = z.int().min(0);
const Series = z.object({
  name: z.string(),
  "resync-rate": Count,
  "c-plan-ahead": Count,
  "c-delay-target": Count,
  "c-fill-target": Count,
  "c-max-rate": Count,
  "max-buffers": Count,
  /** [sectors that arrived, requests, KiB/s] per step. */
  series: z.array(z.tuple([z.int(), z.int(), z.int()])).min(1),
});

Deno.test({
  name: "stepController() repeats every series of DRBD 8.4's controller",
  ignore: isMissing(FOLDER, "rs"),
  async fn() {
    let steps = 0;
    const count = await judgeSeries(FOLDER, "rs", (value) => {
      const series = Series.parse(value);
      steps += series.series.length;
      return firstDifference(series);
    });
    say(`resync vectors: ${count} series, ${steps} steps agree`);
  },
});

function firstDifference(series: z.infer<typeof Series>): string | undefined {
  const options: ResyncOptions = {
    ...RESYNC_DEFAULTS,
    resyncRateKibPerSecond: series["resync-rate"],
    planAheadSteps: series["c-plan-ahead"],
    delayTargetSteps: series["c-delay-target"],
    fillTargetSectors: series["c-fill-target"],
    maxRateKibPerSecond: series["c-max-rate"],
    maxBuffers: series["max-buffers"],
  };
  let controller = startController(options);
  for (const [step, [arrived, requests, rate]] of series.series.entries()) {
    const ours = stepController(controller, arrived, options);
    if (ours.requests !== requests || ours.rateKibPerSecond !== rate) {
      return `${series.name} step ${step}: ours ${ours.requests} requests at ` +
        `${ours.rateKibPerSecond} KiB/s, DRBD's ${requests} at ${rate}`;
    }
    controller = noteRequested(
      ours.controller,
      ours.requests * SECTORS_PER_REQUEST,
    );
  }
  return undefined;
}
