/** What `kedge volume set` is told: `OPTION=VALUE`. Pure. */

import {
  type DrbdConf,
  OPTION_TABLES,
  type OptionChange,
  parseResyncAfter,
} from "@kedge/schema/drbd-conf";
import { CliError, UsageError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import { nearest } from "../nearest.ts";
import { SECRET, SET_SECTIONS } from "./said_settings.ts";

/**
 * Read `OPTION=VALUE`; without a value the option goes.
 *
 * @throws {UsageError} With the nearest option that there is.
 */
export function changeOf(word: string): OptionChange {
  const [name = "", ...rest] = word.split("=");
  const value = rest.join("=");
  if (rest.length === 0) {
    throw new UsageError(`Say ${word}=VALUE, or ${word}= for the default`);
  }
  if (/[\n\r\0]/.test(value)) throw new UsageError(`${name}: one line only`);
  if (name === SECRET) {
    throw new UsageError(
      `${SECRET} is not for a command line: write it into the file, then ` +
        '"kedge volume adjust"',
    );
  }
  const section = SET_SECTIONS.find((each) => OPTION_TABLES[each].has(name));
  if (section !== undefined) {
    return { section, name, value: value === "" ? undefined : value };
  }
  const all = SET_SECTIONS.flatMap((each) => [...OPTION_TABLES[each].keys()]);
  const guess = nearest(name, all);
  throw new UsageError(
    `There is no option "${name}"` +
      (guess === undefined ? "" : `; did you mean ${guess}?`),
  );
}

/**
 * A digest that nobody could compute would be refused only when it is used.
 *
 * @throws {UsageError}
 */
export function refuseUnknownDigests(
  changes: readonly OptionChange[],
  isKnown: (algorithm: string) => boolean,
): void {
  for (const { section, name, value } of changes) {
    const isDigest = section === "net" && name.endsWith("-alg");
    if (!isDigest || value === undefined || isKnown(value)) continue;
    throw new UsageError(
      `${name}: there is no digest "${value}" here; use sha256, sha1, md5 or ` +
        "crc32c",
    );
  }
}

/**
 * A resync waits for a volume that there is; the parser only warns.
 *
 * @throws {CliError} With those that there are.
 */
export function refuseUnknownAfter(
  { resources }: DrbdConf,
  own: string,
  changes: readonly OptionChange[],
): void {
  const value = changes.findLast(({ name }) => name === "resync-after")?.value;
  const after = parseResyncAfter(value);
  if (after === undefined) return;
  const volumes = resources.map(({ name, volumes, hosts }) => ({
    name,
    numbers: new Set(
      [...volumes, ...hosts.flatMap((host) => host.volumes)]
        .map(({ volume }) => volume),
    ),
  }));
  const found = volumes.find(({ name }) => name === after.resource);
  if (found?.numbers.has(after.volume)) return;
  const known = volumes.filter(({ name }) => name !== own)
    .flatMap(({ name, numbers }) =>
      [...numbers].map((each) => each === 0 ? name : `${name}/${each}`)
    );
  throw new CliError(
    `resync-after: there is no volume "${value}", so nothing was changed`,
    known.length === 0
      ? `${own} is the only resource here: there is nothing to come after`
      : `name one of ${known.join(", ")}; "resync-after=" waits for nobody`,
    EXIT.notFound,
  );
}
