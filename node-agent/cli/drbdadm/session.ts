/**
 * One run of `drbdadm`: its command line, the configuration, the daemon.
 *
 * @module
 */

import { resolve } from "node:path";
import {
  type DrbdConf,
  formatFinding,
  NotDefinedError,
  resolveResource,
  type ResourceConfig,
  resourcesOn,
} from "@kedge/schema/drbd-conf";
import type {
  CommandReply,
  MirrorStatus,
  ResourceStatus,
} from "@kedge/schema/mirror/control-api";
import type { CommandContext } from "../context.ts";
import { MirrorClient } from "../mirror_client.ts";
import { sizesDirOf } from "../mirror/run_dir.ts";
import { DEFAULT_CONFIG, type Identity, loadConf } from "./config.ts";
import { type Line, LineError, type OwnOption } from "./line.ts";
import { withoutSecret } from "./setup_lines.ts";
import type { Targets } from "./table.ts";
import { parseMinor, parseTarget, type TargetWord } from "./target_word.ts";

/** A resource, or one volume of it, that a command is for. */
export interface Target {
  readonly config: ResourceConfig;
  /** Undefined: all volumes. */
  readonly volume: number | undefined;
}

/** Commands that tell what is strange in the configuration; others are brief. */
const TELLS_WARNINGS = [
  "adjust",
  "create-md",
  "dump",
  "dump-xml",
  "sh-nop",
  "up",
];

/** Commands that refuse what only the running system would refuse. */
const REFUSES_LATE = ["adjust", "attach", "connect", "up"];

/** See the module comment. */
export class Session implements Disposable {
  readonly #client: MirrorClient;
  #conf: DrbdConf | undefined;
  #status: MirrorStatus | undefined;

  constructor(
    readonly line: Line,
    readonly given: {
      readonly context: CommandContext;
      readonly identity: Identity;
      readonly runDir: string;
      readonly targets: Targets;
      /** Told of every refusal of the daemon. */
      onRefusal?(resource: string, reply: CommandReply): void;
    },
  ) {
    this.#client = new MirrorClient(given.runDir, given.context);
  }

  /** The daemon. */
  get client(): MirrorClient {
    return this.#client;
  }

  /** Where the daemon remembers how large disks were. */
  get sizesDir(): string {
    return sizesDirOf(this.given.runDir);
  }

  /** What the command may touch. */
  get context(): CommandContext {
    return this.given.context;
  }

  /** Only say what would be done. */
  get isDry(): boolean {
    return this.has("dry-run");
  }

  /** Whether one of drbdadm's own options was given. */
  has(option: OwnOption): boolean {
    return this.line.own.has(option);
  }

  /** Whether an option of the command was given. */
  asks(...names: readonly string[]): boolean {
    return names.some((name) => {
      const value = this.line.setup.get(name);
      return value !== undefined && value !== "no";
    });
  }

  /** Print a line. */
  say(text: string): void {
    this.context.out.line(text);
  }

  /** Print a line on standard error. */
  warn(text: string): void {
    this.context.err.line(text);
  }

  /** Say which command of 8.4 this is: `-d`, as it is; `-v`, no secrets. */
  trace(line: string): void {
    if (this.isDry) this.say(line);
    else if (this.has("verbose")) this.say(withoutSecret(line));
  }

  /** The main file of the configuration, from the root. */
  get configPath(): string {
    const { KEDGE_DRBD_CONF } = this.context.env;
    const given = this.line.own.get("config-file") ?? KEDGE_DRBD_CONF;
    return resolve(given ?? DEFAULT_CONFIG);
  }

  /**
   * The configuration; warnings were printed.
   *
   * @throws {ParseError}
   */
  conf(): DrbdConf {
    if (this.#conf !== undefined) return this.#conf;
    const isStrict = this.has("strict");
    const tested = this.line.own.get("config-to-test");
    if (tested !== undefined) this.#read(tested, isStrict);
    this.#conf = this.#read(this.configPath, isStrict);
    return this.#conf;
  }

  /**
   * What the command is for.
   *
   * @throws {LineError} When nothing is named but something must be.
   * @throws {NotDefinedError} For a name that this host does not have.
   */
  targets(): Target[] {
    const { words, command } = this.line;
    if (words.length === 0 && this.given.targets === "some") {
      throw new LineError(
        `drbdadm ${command}: missing arguments; name a resource, or all`,
      );
    }
    const isAll = words.length === 0 || words.includes("all");
    const { identity } = this.given;
    const named = isAll ? resourcesOn(this.conf(), identity) : words;
    return named.map((word) => this.#target(word, isAll));
  }

  /** All resources of this host, whatever was named. */
  allTargets(): Target[] {
    return resourcesHere(this).map((name) => this.#target(name, true));
  }

  /** What the daemon runs; nothing when there is no daemon. Asked once. */
  async status(): Promise<MirrorStatus> {
    if (this.#status !== undefined) return this.#status;
    const nothing = { version: "", pid: 0, resources: [] };
    this.#status = await this.client.isRunning()
      ? await this.client.status()
      : nothing;
    return this.#status;
  }

  /** What the daemon says of a resource now; undefined: it does not run. */
  async running(name: string): Promise<ResourceStatus | undefined> {
    this.#status = undefined;
    const { resources } = await this.status();
    return resources.find(({ resource }) => resource === name);
  }

  /** Give the connections back. */
  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  #read(path: string, isStrict: boolean): DrbdConf {
    const conf = loadConf(path, isStrict);
    const tells = this.has("verbose") ||
      TELLS_WARNINGS.includes(this.line.command ?? "");
    for (const warning of tells ? conf.warnings : []) {
      this.warn(`${formatFinding(warning)} (warning)`);
    }
    return conf;
  }

  #ofMinor(word: string): TargetWord | undefined {
    const minor = parseMinor(word);
    if (minor === undefined) return undefined;
    for (const { config } of this.allTargets()) {
      const found = config.volumes.find((each) => each.minor === minor);
      if (found === undefined) continue;
      return { resourceName: config.name, volume: found.volume };
    }
    return undefined;
  }

  #target(word: string, isAll: boolean): Target {
    const conf = this.conf();
    const { command } = this.line;
    const { identity } = this.given;
    const isWhole = isAll || conf.resources.some(({ name }) => name === word);
    const { resourceName, volume } = isWhole
      ? { resourceName: word, volume: undefined }
      : this.#ofMinor(word) ?? parseTarget(word);
    // What only the running system refuses is refused where something runs.
    const checked = this.isDry || !REFUSES_LATE.includes(command ?? "")
      ? { ...conf, warnings: [] }
      : conf;
    const config = resolveResource(checked, { ...identity, resourceName });
    if (volume === undefined) return { config, volume };
    if (config.volumes.some((each) => each.volume === volume)) {
      return { config, volume };
    }
    throw new NotDefinedError(word);
  }
}

/** Names of the resources that the configuration has for this host. */
export function resourcesHere(session: Session): string[] {
  return resourcesOn(session.conf(), session.given.identity);
}
