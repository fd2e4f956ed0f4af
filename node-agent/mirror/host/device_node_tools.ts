/**
 * The programs that device nodes are made with: found, run with a time limit,
 * and named with their package when they are missing.
 *
 * @module
 */

/** Where a service's `PATH` may not look, but administration programs lie. */
const FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/** The Debian package of each program. */
const PACKAGES: Readonly<Record<string, string>> = {
  "losetup": "mount",
  "mknod": "coreutils",
  "nbd-client": "nbd-client",
  "nbdfuse": "libnbd-bin",
  "umount": "mount",
};

/** Longest time for a program that answers at once when all is well, in ms. */
const RUN_MS = 10_000;
/** Pause between two looks at something that is about to happen, in ms. */
const LOOK_MS = 10;

/** What a program gave. */
export interface Ended {
  readonly ok: boolean;
  readonly stdout: string;
  /** What it complained about, in one line. */
  readonly complaint: string;
}

/** Path of a program, or `undefined`. */
export function findProgram(name: string): string | undefined {
  const path = (Deno.env.get("PATH") ?? "").split(":");
  return [...path, ...FOLDERS]
    .filter((folder) => folder !== "")
    .map((folder) => `${folder}/${name}`)
    .find(isThere);
}

/**
 * Path of a program.
 *
 * @throws {Error} Naming the package that has it.
 */
export function programPath(name: string): string {
  const found = findProgram(name);
  if (found !== undefined) return found;
  const packageName = PACKAGES[name] ?? name;
  throw new Error(
    `${name} is not installed: install the package ${packageName}`,
  );
}

/** Run a program to its end; killed when it takes too long. */
export function runProgram(name: string, ...args: string[]): Promise<Ended> {
  return runProgramFor(RUN_MS, name, args);
}

/** The same; one that cannot be killed (it waits for a disk) is left alone. */
export async function runProgramFor(
  runMs: number,
  name: string,
  args: readonly string[],
): Promise<Ended> {
  const child = new Deno.Command(programPath(name), {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const late = Promise.withResolvers<undefined>();
  const alarm = setTimeout(() => late.resolve(undefined), runMs);
  const output = child.output();
  const ended = await Promise.race([output, late.promise]);
  clearTimeout(alarm);
  if (ended === undefined) {
    output.catch(() => {});
    child.unref();
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended just now.
    }
    const complaint = `${name}: no end after ${runMs} ms`;
    return { ok: false, stdout: "", complaint };
  }
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  const said = lastWords(text(ended.stderr));
  return {
    ok: ended.success,
    stdout: text(ended.stdout),
    complaint: `${name}: ${said.replace(`${name}: `, "")}`,
  };
}

/** The last line that says something: nbd-client ends with "Exiting.". */
export function lastWords(text: string): string {
  return text.split("\n").findLast((line) =>
    line.trim() !== "" && line.trim() !== "Exiting."
  ) ?? "";
}

/**
 * Look again and again until `isSo`, or until time is over.
 *
 * @returns Whether it became so.
 */
export function becomes(
  isSo: () => boolean,
  deadlineMs: number,
): Promise<boolean> {
  return becomesSo(() => Promise.resolve(isSo()), deadlineMs);
}

/** {@linkcode becomes}, for what must be asked for. */
export async function becomesSo(
  isSo: () => Promise<boolean>,
  deadlineMs: number,
): Promise<boolean> {
  const endMs = performance.now() + deadlineMs;
  while (!await isSo()) {
    if (performance.now() > endMs) return false;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return true;
}

/** Whether something lies at a path; links are not followed. */
export function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** A small file's text, or "" when there is none. */
export function textAt(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

/** Names in a folder; none when there is no such folder. */
export function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch {
    return [];
  }
}

/** Where a symbolic link points, or `undefined` when it is none. */
export function linkTarget(path: string): string | undefined {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return undefined;
  }
}
