/**
 * `kedge volume create|init|up|adjust|down`: write a configuration, make the disk,
 * start it. The same file serves drbdadm.
 *
 * @module
 */

import { dirname, join, resolve } from "node:path";
import { isResourceName, ParseError } from "@kedge/schema/drbd-conf";
import {
  type HostPort,
  parseHostPort,
  parseSize,
} from "@kedge/schema/config/units";
import { wholeNumber } from "../args.ts";
import type { CommandContext } from "../context.ts";
import { adjust } from "../drbdadm/adjust.ts";
import { DEFAULT_CONFIG, identityOf, loadConf } from "../drbdadm/config.ts";
import { COMMANDS as META } from "../drbdadm/meta_commands.ts";
import { parseLine } from "../drbdadm/line.ts";
import { Session } from "../drbdadm/session.ts";
import { down, up } from "../drbdadm/up.ts";
import { CliError, UsageError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import { runDirOf } from "../mirror/run_dir.ts";
import { splitName } from "./actions.ts";
import { createFile } from "./edit_file.ts";
import type { VolumeValues } from "./options.ts";
import { COMMON_FILE, MAIN_FILE, resText, type Side } from "./res_file.ts";

/** What a verb needs that works by the configuration. */
export interface ConfigCall {
  readonly values: VolumeValues;
  readonly context: CommandContext;
}

/** Write `NAME.res`, make the disk and its metadata, start it. */
export async function createVolume(
  name: string,
  call: ConfigCall,
): Promise<number> {
  const { values, context } = call;
  if (!isResourceName(name)) {
    throw new UsageError(
      `"${name}" is no name of a volume: use letters, digits, ".", "_" and "-"`,
    );
  }
  const path = configPath(call);
  const folder = join(dirname(path), "drbd.d");
  const file = join(folder, `${name}.res`);
  const sides = sidesOf(call);
  await newDiskBytes(sides[0].disk, values.size); // before anything is written
  await writeMain(path, folder);
  const text = resText({
    name,
    minor: minorOf(values.minor, path),
    protocol: values.protocol,
    verifyAlg: "sha256",
    secret: newSecret(),
    sides,
  });
  await writeNew(file, text, { mode: 0o600 });
  try {
    loadConf(path, false);
  } catch (error) {
    await Deno.remove(file);
    throw error instanceof ParseError
      ? new CliError(`the configuration would be wrong:\n${error.message}`)
      : error;
  }
  const started = await initVolume(name, call);
  if (started !== EXIT.ok) return started;
  const [, peer] = sides;
  context.err.line(`written: ${file}
Now on ${peer.host}: copy this file (it holds a secret) to ${file} there,
and run
  kedge volume init ${name}${
    values.size === undefined ? "" : ` --size ${values.size}`
  }
Then, on the host whose data counts (here, if it is new):
  kedge volume promote ${name} --force`);
  return EXIT.ok;
}

/** Make the disk and its metadata, as configured; start it. */
export async function initVolume(
  name: string,
  call: ConfigCall,
): Promise<number> {
  using session = sessionFor(["create-md", name], call);
  for (const { config } of session.targets()) {
    for (const { disk } of config.volumes) {
      if (disk !== undefined) await makeDisk(disk, call.values.size);
    }
  }
  const created = await META["create-md"](session);
  if (created !== 0) {
    throw new CliError(
      `no metadata was written for ${name}: see above`,
      `if what is on the disk may go: "drbdadm create-md --force ${name}", ` +
        `then "kedge volume up ${name}"`,
    );
  }
  return await upVolume(name, call);
}

/** Start it, as configured; what is missing of one that runs. */
export async function upVolume(
  name: string,
  call: ConfigCall,
): Promise<number> {
  using session = sessionFor(["up", name], call);
  const isRunning = await session.client.isRunning() &&
    await session.running(splitName(name).name) !== undefined;
  if (isRunning) return await adjustVolume(name, call);
  return await up(session) === 0 ? EXIT.ok : EXIT.failed;
}

/** Let it run on by what the files say now. */
export async function adjustVolume(
  name: string,
  call: ConfigCall,
): Promise<number> {
  const words = call.values.reconnect ? ["--reconnect", name] : [name];
  using session = sessionFor(["adjust", ...words], call);
  return await adjust(session) === 0 ? EXIT.ok : EXIT.failed;
}

/** Stop it. */
export async function downVolume(
  name: string,
  call: ConfigCall,
): Promise<number> {
  using session = sessionFor(["down", name], call);
  return await down(session) === 0 ? EXIT.ok : EXIT.failed;
}

function sessionFor(
  words: readonly string[],
  { values, context }: ConfigCall,
): Session {
  const line = parseLine(["-c", configPath({ values, context }), ...words]);
  return new Session(line, {
    context,
    identity: identityOf(values.host, context.env),
    runDir: resolve(runDirOf(values["run-dir"], context.env)),
    targets: "some",
  });
}

/** The main file. */
export function configPath({ values, context }: ConfigCall): string {
  return resolve(
    values.config ?? context.env.KEDGE_DRBD_CONF ?? DEFAULT_CONFIG,
  );
}

function sidesOf({ values, context }: ConfigCall): [Side, Side] {
  const { disk, listen, peer } = values;
  if (disk === undefined || listen === undefined || peer === undefined) {
    throw new UsageError("create needs --disk, --listen and --peer");
  }
  const [host = "", address = ""] = peer.split("=");
  if (!peer.includes("=") || host === "") {
    throw new UsageError(
      "--peer must be HOST=IP:PORT, such as b=10.0.0.2:7789",
    );
  }
  const path = resolve(disk);
  return [
    {
      host: identityOf(values.host, context.env).host,
      address: literal("--listen", listen),
      disk: path,
    },
    {
      host,
      address: literal("--peer", address),
      disk: values["peer-disk"] ?? path,
    },
  ];
}

/** Both hosts must mean the same thing by it: a number, no name. */
function literal(option: string, text: string): HostPort {
  const address = parseHostPort(text);
  const isLiteral = address !== undefined &&
    /^[0-9.]+$|:/.test(address.hostname);
  if (isLiteral && address.port > 0) return address;
  throw new UsageError(
    `${option} must end with an IP address and a port, such as ` +
      `10.0.0.1:7789, not "${text}"`,
  );
}

/** 256 random bits in hex: as long as DRBD takes. */
function newSecret(): string {
  return [...crypto.getRandomValues(new Uint8Array(32))]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function minorOf(text: string | undefined, config: string): number {
  if (text !== undefined) {
    return wholeNumber("--minor", text, { min: 0, max: 1_048_575 });
  }
  const used = new Set(
    loadConf(config, false).resources.flatMap((resource) =>
      [resource, ...resource.hosts].flatMap(({ volumes }) =>
        volumes.map(({ device }) => device?.value.minor)
      )
    ),
  );
  let minor = 0;
  while (used.has(minor)) minor++;
  return minor;
}

async function writeMain(path: string, folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  await writeNew(path, MAIN_FILE, { mayExist: true });
  const text = await Deno.readTextFile(path);
  if (!text.includes("drbd.d/*.res")) {
    throw new CliError(
      `${path} does not include the folder drbd.d`,
      `add the line: include "drbd.d/*.res";`,
    );
  }
  const common = join(folder, "global_common.conf");
  await writeNew(common, COMMON_FILE, { mayExist: true });
}

/** Never overwrites. An existing file is an error unless `mayExist`. */
async function writeNew(
  path: string,
  text: string,
  { mayExist = false, mode = 0o644 }: {
    readonly mayExist?: boolean;
    readonly mode?: number;
  },
): Promise<void> {
  try {
    await createFile(path, text, mode);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    if (mayExist) return;
    throw new CliError(
      `${path} exists already`,
      "choose another name, or remove the file when the volume is gone",
    );
  }
}

/** An empty file of this size, if there is nothing; never cut, never grown. */
async function makeDisk(path: string, size: string | undefined): Promise<void> {
  const bytes = await newDiskBytes(path, size);
  if (bytes === undefined) return;
  using file = await Deno.open(path, {
    createNew: true,
    write: true,
    mode: 0o600,
  });
  try {
    await file.truncate(bytes);
  } catch (error) {
    await Deno.remove(path).catch(() => {});
    throw error;
  }
}

/**
 * How large a disk has to be made; undefined: there is one.
 *
 * @throws {CliError} When nobody says how large.
 */
async function newDiskBytes(
  path: string,
  size: string | undefined,
): Promise<number | undefined> {
  const exists = await Deno.stat(path).then(() => true, () => false);
  if (exists) return undefined;
  const bytes = size === undefined ? undefined : parseSize(size);
  if (bytes !== undefined && bytes > 0) return bytes;
  if (size !== undefined) {
    throw new UsageError(`--size must be a size such as 20G, not "${size}"`);
  }
  throw new CliError(
    `there is no disk "${path}"`,
    "say --size 10G to make a file, or name a disk that exists",
    EXIT.misused,
  );
}
