/**
 * Runs the simulator of the mirror with fresh seeds, or one seed again.
 *
 * @module
 */

import { drawPlan, type MirrorPlan } from "./plan.ts";
import { runMirror } from "./run.ts";
import { type PlanChange, replayCommand, shrinkMirrorPlan } from "./shrink.ts";

if (import.meta.main) Deno.exitCode = mirrorMain(Deno.args);

/** `[SECONDS [FIRST_SEED]] | --seed N [PIECE] [--plan JSON]`: the exit code. */
export function mirrorMain(args: readonly string[]): number {
  const [first = "30", second] = args;
  if (first === "--seed" && second !== undefined) {
    const rest = args.slice(2);
    const at = rest.indexOf("--plan");
    const change = at < 0 ? {} : JSON.parse(rest[at + 1] ?? "{}");
    return replay(Number(second), { change, watched: rest[0] });
  }
  return soak(Number(first), second === undefined ? undefined : Number(second));
}

function soak(seconds: number, from: number | undefined): number {
  const startedMs = performance.now();
  let seed = from ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  let [runs, events, answers] = [0, 0, 0];
  const found = new Map<
    string,
    { count: number; seed: number; text: string }
  >();
  while (performance.now() - startedMs < seconds * 1000) {
    const result = runMirror(seed);
    runs++;
    events += result.events;
    answers += result.answers;
    const { violation } = result;
    if (violation !== undefined) {
      const kind = violation.message.split("\n")[0]
        ?.replace(/at [0-9.]+ ms/, "").replace(/[0-9a-f]{6,}/g, "G")
        .replace(/[0-9]+/g, "N").slice(0, 60) ?? "";
      const known = found.get(kind);
      if (known === undefined) {
        found.set(kind, { count: 1, seed, text: violation.message });
      } else known.count++;
    }
    seed++;
  }
  const spent = (performance.now() - startedMs) / 1000;
  print(
    `${runs} seeds in ${spent.toFixed(1)} s: ` +
      `${(runs / spent).toFixed(0)} seeds/s, ` +
      `${(events / spent / 1000).toFixed(0)}k events/s, ` +
      `${answers} answers`,
  );
  for (const { count, seed, text } of found.values()) {
    print(`${count} × seed ${seed}: ${text.slice(0, 400)}`);
  }
  return found.size === 0 ? 0 : 1;
}

function replay(
  seed: number,
  { change, watched }: {
    readonly change: PlanChange;
    readonly watched: string | undefined;
  },
): number {
  const plan: MirrorPlan = { ...drawPlan(seed), ...change };
  const { faults, losses, ...rest } = plan;
  print(JSON.stringify(rest));
  for (const fault of [...faults, ...losses]) {
    print(`  ${JSON.stringify(fault)}`);
  }
  const piece = Number(watched);
  const { violation } = runMirror(seed, {
    plan,
    trace: print,
    ...(piece >= 0 ? { watched: piece } : {}),
  });
  print(violation?.message ?? `seed ${seed} keeps every promise`);
  if (violation === undefined) return 0;
  if (Object.keys(change).length === 0) {
    print(`shrunk: ${replayCommand(seed, shrinkMirrorPlan(seed))}`);
  }
  return 1;
}

function print(line: string): void {
  const bytes = new TextEncoder().encode(`${line}\n`);
  for (let done = 0; done < bytes.length;) {
    done += Deno.stdout.writeSync(bytes.subarray(done));
  }
}
