/** Programs that an earlier start left behind when it was killed. */

import { z } from "zod";

/** What `running.json` says. */
const Running = z.object({
  tracker_pid: z.int(),
  agents: z.array(z.object({ pid: z.int() })),
});

/** Patience before an orphan is killed, in milliseconds. */
const PATIENCE_MS = 3000;
const LOOK_MS = 50;

/**
 * Wait until the programs of an earlier start are gone; they notice by
 * themselves that their supervisor is (`stop_with_parent.ts`). One that hangs is
 * killed. Their ports and data are free afterwards.
 *
 * @param path `running.json`; missing after a clean stop.
 * @param sleep Wait.
 */
export async function awaitOrphans(
  path: string,
  sleep: (ms: number) => Promise<void>,
): Promise<void> {
  const running = await readRunning(path);
  if (running === undefined) return;
  const pids = [running.tracker_pid, ...running.agents.map(({ pid }) => pid)];
  for (let waitedMs = 0;; waitedMs += LOOK_MS) {
    const alive = pids.filter(isOurs);
    if (alive.length === 0) return;
    if (waitedMs >= PATIENCE_MS) alive.forEach(killHard);
    await sleep(LOOK_MS);
  }
}

/** A number may have gone to a stranger: the command line tells. */
function isOurs(pid: number): boolean {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`)
      .includes("stop_with_parent.ts");
  } catch {
    return false;
  }
}

function killHard(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // Gone meanwhile.
  }
}

async function readRunning(
  path: string,
): Promise<z.infer<typeof Running> | undefined> {
  try {
    return Running.safeParse(JSON.parse(await Deno.readTextFile(path))).data;
  } catch {
    return undefined;
  }
}
