/**
 * Runs a program with faults in its system calls: `fault_shim.c`, compiled when
 * a test needs it.
 *
 * @module
 */

/** What goes wrong, and where. */
export interface Fault {
  /** What happens at the matching call. */
  readonly mode:
    | "kill-before"
    | "kill-after"
    | "torn"
    | "error"
    | "short"
    | "lie"
    | "count";
  /** Which matching call, from 1; 0 is every one. */
  readonly at: number;
  /** Kinds of calls that match. */
  readonly calls: readonly (
    | "open"
    | "write"
    | "sync"
    | "rename"
    | "unlink"
    | "truncate"
    | "mkdir"
  )[];
  /** Text that the path must contain. */
  readonly path: string;
  /** Text that the path must not contain. */
  readonly not?: string;
  /** Error to report in mode `error`. */
  readonly errno?: "EIO" | "ENOSPC";
  /** Counting begins when the program opens a path with this text. */
  readonly arm?: string;
}

/** Every kind of call. */
export const ALL_CALLS = [
  "open",
  "write",
  "sync",
  "rename",
  "unlink",
  "truncate",
  "mkdir",
] as const;

const ERRNO = { EIO: 5, ENOSPC: 28 };

/** The compiled shim. */
export class FaultShim {
  readonly #library: string;

  private constructor(library: string) {
    this.#library = library;
  }

  /** Whether this machine can compile it. */
  static isPossible(): boolean {
    if (Deno.build.os !== "linux") return false;
    try {
      return new Deno.Command("gcc", { args: ["--version"], stdout: "null" })
        .outputSync().success;
    } catch {
      return false;
    }
  }

  /** Compile the shim into `dir`. */
  static async compile(dir: string): Promise<FaultShim> {
    const source = new URL("./fault_shim.c", import.meta.url).pathname;
    const library = `${dir}/fault_shim.so`;
    const { success, stderr } = await new Deno.Command("gcc", {
      args: ["-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"],
    }).output();
    if (success) return new FaultShim(library);
    throw new Error(`gcc failed: ${new TextDecoder().decode(stderr)}`);
  }

  /**
   * Environment for a program with this fault.
   *
   * @param counter File that gets the number of matching calls.
   */
  environment(fault: Fault, counter: string): Record<string, string> {
    Deno.writeFileSync(counter, new Uint8Array(8));
    return {
      LD_PRELOAD: this.#library,
      SHIM_MODE: fault.mode,
      SHIM_AT: String(fault.at),
      SHIM_CALLS: fault.calls.join(","),
      SHIM_PATH: fault.path,
      SHIM_NOT: fault.not ?? "",
      SHIM_ERRNO: String(ERRNO[fault.errno ?? "EIO"]),
      SHIM_COUNT: counter,
      ...(fault.arm === undefined ? {} : { SHIM_ARM: fault.arm }),
    };
  }
}

/** Number of matching calls that a counter file holds. */
export function readCount(counter: string): number {
  const bytes = Deno.readFileSync(counter);
  return Number(new DataView(bytes.buffer).getBigUint64(0, true));
}
