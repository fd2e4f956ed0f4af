/**
 * Makes `deno install -g` work: an installed program gets no import map, so it
 * starts itself again with the configuration of its own checkout.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

const path = (relative: string) =>
  fileURLToPath(new URL(relative, import.meta.url));

/** Whether our imports resolve, as they do when the configuration was found. */
export function hasImportMap(): boolean {
  try {
    import.meta.resolve("@kedge/schema");
    return true;
  } catch {
    return false;
  }
}

/**
 * Run the same command line with the configuration.
 *
 * @param entry URL of `main.ts`.
 * @param args Words after the program's name.
 * @returns The exit code. Signals are passed on; the program ends when this
 * process does, however it does.
 */
export async function relaunch(
  entry: string,
  args: readonly string[],
): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--quiet", "--config", path("../../deno.json")],
      ...["--preload", path("./start/stop_with_parent.ts")],
      fileURLToPath(entry),
      ...args,
    ],
    env: { KEDGE_SUPERVISOR_PID: String(Deno.pid) },
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      try {
        child.kill(signal);
      } catch {
        // It has ended.
      }
    });
  }
  return (await child.status).code;
}
