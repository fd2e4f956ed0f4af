/**
 * Measures the FastDFS gateway against FastDFS itself: the same client program,
 * the same sizes and numbers of connections, one system after the other.
 *
 * ```sh
 * deno task bench:fastdfs           # about 10 minutes, writes tests/bench/FASTDFS.md
 * deno task bench:fastdfs --quick   # a minute, prints only
 * deno task bench:fastdfs --help    # parts of it
 * ```
 *
 * `FASTDFS_PREFIX` names an installation of FastDFS; without it only Kedge is
 * measured.
 *
 * @module
 */

import { say } from "../helpers/say.ts";
import type { SubjectFound } from "./fastdfs_found.ts";
import {
  leftMs,
  type Plan,
  planOf,
  timeWords,
  turnsOf,
  USAGE,
} from "./fastdfs_plan.ts";
import { fastdfsFigures, fastdfsPage } from "./fastdfs_report.ts";
import { fastdfsPrefix } from "./fastdfs_subject.ts";
import { stepsOf, takeTurn } from "./fastdfs_turn.ts";
import { writePage } from "./page.ts";

/** The plan that the arguments ask for; ends the program when they are wrong. */
function asked(): Plan {
  try {
    const plan = planOf(Deno.args);
    if (plan !== "help") return plan;
    say(USAGE);
    Deno.exit(0);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    say(`${error.message}\n\n${USAGE}`);
    Deno.exit(2);
  }
}

function withoutAbsent(plan: Plan): Plan {
  if (fastdfsPrefix() !== undefined) return plan;
  say("FASTDFS_PREFIX is not set: only Kedge is measured");
  return {
    ...plan,
    systems: plan.systems.filter((name) => name !== "FastDFS"),
  };
}

/** Says a line with how far it is and how long the rest takes. */
function progress(all: number): (steps: number, line: string) => void {
  const beganMs = performance.now();
  let done = 0;
  return (steps, line) => {
    done += steps;
    const elapsedMs = performance.now() - beganMs;
    const left = timeWords(leftMs(elapsedMs, done, all));
    say(`[${Math.floor(100 * done / all)} %, ${left} left] ${line}`);
  };
}

const plan = withoutAbsent(asked());
const turns = turnsOf(plan);
const step = progress(turns.length * stepsOf(plan));
const found = plan.systems.map((name): SubjectFound => ({
  ...{ name, rows: [], idleUsPerS: [], kill: undefined },
}));
let files = "";
for (const turn of turns) {
  const own = found.find(({ name }) => name === turn.system);
  if (own !== undefined) {
    files = await takeTurn(plan, turn, { found: own, step });
  }
}
if (plan.mode === "full") {
  const page = await fastdfsPage(found, { plan, files });
  await writePage("FASTDFS.md", page);
  say(page);
} else say(fastdfsFigures(found));
